// Lifetimes under stress: a tenth of the figures of slow/lifetime.test.ts.
import {testLifetimes} from './support/lifetime-suite.js';

testLifetimes({disposals: 50, terminations: 50, aborts: 20, cycles: 100});
