// Lifetimes under stress: hundreds of disposals, terminations and aborts at work, a thousand models one after the other.
import {testLifetimes} from '../support/lifetime-suite.js';

testLifetimes({disposals: 500, terminations: 500, aborts: 200, cycles: 1000});
