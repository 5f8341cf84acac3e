// The words and templates of the built-in stories. Within one choice no alternative may begin like another: see ambiguities().
import type {Rules, Word} from './compile.js';

const female = {He: 'She', he: 'she', his: 'her', him: 'her', child: 'girl'};
const male = {He: 'He', he: 'he', his: 'his', him: 'him', child: 'boy'};

/** A list of words between commas; `old:2` has twice the weight of the others. */
function words(text: string, forms: Readonly<Record<string, string>> = {}): readonly Word[] {
	return text.split(',').map(item => {
		const [word = '', weight = '1'] = item.trim().split(':');
		return {text: word, weight: Number(weight), forms};
	});
}

// Short words in long lists keep the text at 0.4 nats per character while it still reads like English.
const girls = words(
	`Ada:2, Mia:2, Rose:2, Amy, Bea, Clara, Dot, Eve, Fay, Gwen, Ida, Ivy, Joy, Kate, Lucy, Meg, Nell, Nora,
	Pam, Ruth, Sue, Tess, Una, Vera, Wren, Zoe`,
	female,
);
const boys = words(
	`Ben:2, Leo:2, Tom:2, Abe, Art, Carl, Dan, Finn, Gus, Hal, Hugo, Ian, Jack, Jim, Max, Ned, Omar, Otto,
	Paul, Ray, Sam, Ted, Vic, Will, Yuri, Zack`,
	male,
);

export const lists: Readonly<Record<string, readonly Word[]>> = {
	girls,
	boys,
	names: [...girls, ...boys],
	traits: words(
		`shy:2, bold, brave, busy, calm, clever, cool, funny, gentle, glum, good, kind, lazy, lonely, loud,
		lucky, meek, nice, poor, proud, quick, quiet, rich, sad, silly, smart, strong, tall, tidy, vain,
		wild, wise, young`,
	),
	weathers: words(
		`cold, hot, wet, dry, calm, clear, cool, dark, dull, fine, foggy, grey, mild, nice, rainy, snowy,
		still, sunny, warm, windy`,
	),
	times: words('day:2, night:2, dawn, dusk, eve, fall day, noon, May day, spring, summer, winter'),
	placeAdjectives: words(
		`wet:2, low:2, big, dim, dry, far, bare, cold, damp, dark, deep, dull, grey, high, long, lost, mossy,
		muddy, new, quiet, red, rocky, sandy, steep, sunny, tall, tiny, warm, wide, wild`,
	),
	places: words(
		`lake:2, farm:2, beach, coast, cove, creek, dale, field, forest, glen, heath, hill, inn, lane, marsh,
		mill, moor, park, pier, pond, port, reef, ridge, river, sea, shop, square, town, village, wood`,
	),
	farPlaces: words(
		`cave, castle, attic, bank, barn, bay, bog, bridge, cabin, camp, cellar, church, cliff, den, dock,
		fort, garden, hut, island, jail, jungle, lab, mall, market, mine, palace, ruin, school, swamp,
		temple, tower, tunnel, vault, yard, zoo`,
	),
	moods: words(
		`shy:2, bold, brave, busy, calm, cross, dizzy, fat, glum, grim, happy, jolly, kind, lazy, lost, mad,
		meek, neat, nosy, poor, proud, rich, sad, silly, sleepy, sly, tame, timid, vain, wet, wild, wise`,
	),
	colors: words(
		`red:2, tan, amber, black, blue, brown, coral, cream, dark, gold, green, grey, ivory, jade, lilac,
		mint, navy, olive, pale, pink, plain, rosy, ruby, rusty, teal, white`,
	),
	animals: words(
		`fox:2, owl:2, cat:2, bat, bear, bee, cow, crab, crow, deer, dog, dove, duck, elk, frog, goat, hare,
		hen, lamb, lion, mole, moth, mouse, newt, otter, pig, pony, ram, rat, seal, snail, swan, toad, wolf,
		zebra`,
	),
	sizes: words(
		`big:2, bad, bent, cold, dear, dry, dull, fake, fat, fine, flat, good, heavy, hot, huge, light, long,
		lost, magic, neat, new, raw, rare, round, short, slim, soft, tall, thin, tiny, torn, warm, wet, wide`,
	),
	things: words(
		`hat:2, key:2, cup:2, axe, bag, bell, book, boot, bow, box, can, coat, coin, comb, doll, drum, egg,
		fan, flag, fork, gem, harp, horn, jar, jug, kite, lamp, lock, map, mask, mop, nail, net, pen, pipe,
		pot, ring, rope, rug, sack, saw, shoe, sled, sock, spoon, sword, tent, toy, tub, vase, wand, wig`,
	),
	foods: words(
		`jam:2, pie:2, beans, beef, bread, buns, cake, candy, corn, dates, eggs, figs, fish, fudge, gum, ham,
		honey, kale, leeks, limes, milk, nuts, oats, pasta, pears, peas, plums, rice, rye, salad, soup,
		stew, tea, toast, yams`,
	),
	feelings: words(
		`glad:2, sad:2, happy:2, angry, bored, brave, calm, cold, free, jolly, lonely, lost, lucky, mad,
		merry, proud, rich, scared, sick, sleepy, sorry, tired, upset, warm, weary`,
	),
	arrivals: words(
		`came, ran, went, crept, danced, drove, hiked, hopped, jumped, limped, moved, raced, rode, rushed,
		sailed, swam, walked`,
	),
	searches: words('dug, ran, asked, begged, called, fought, hiked, hunted, looked, prayed, sang, waited, worked'),
	sayings: words('said:2, asked, cried, hissed, joked, mused, roared, sang, sighed, wept, yelled'),
	postures: words(
		`sat, lay, hid, dozed, fished, hummed, played, prayed, read, rested, sang, slept, sneezed, snored,
		stood, wept, worked, yawned`,
	),
	sides: words('by:2, in:2, on:2, above, behind, below, beside, near, past, under'),
	spots: words(
		`log, rock, wall, arch, barrel, bench, bush, cart, ditch, fence, gate, hedge, ladder, oak, pine,
		road, roof, shed, statue, stone, stump, table, tent, trail, well`,
	),
};

export const rules: Rules = {
	story: ['{#opening} {#meeting} {#middle}\n\n'],

	opening: [
		'One {weathers} {times}, a {traits} {#child} {arrivals} to the {placeAdjectives} {place=places}.',
		'A {traits}, {traits} {#child} lived {sides} a {placeAdjectives} {place=places}.',
		[3, '{hero=names}, a {traits} {hero.child}, {postures} {sides} the {placeAdjectives} {place=places}.'],
		'It was a {weathers} {times} in the {place=places}. {hero=names} {postures} {sides} a {placeAdjectives} {spots}.',
	],
	child: ['girl named {hero=girls}', 'boy named {hero=boys}'],

	meeting: [
		[2, '{hero.He} met a {moods} {colors} {animal=animals} who {postures} {sides} a {placeAdjectives} {spots}.'],
		'A {moods} {colors} {animal=animals} {arrivals} by and ate {foods}, {foods} and {foods}.',
		[
			2,
			'By a {placeAdjectives} {spots} {postures} a {moods} {colors} {animal=animals} with a {sizes} {colors} {things}.',
		],
	],

	middle: [
		[3, '{#trouble} {#help} {#ending}'],
		[2, '{#talk} {#trouble} {#help} {#ending}'],
	],
	talk: [
		'{hero} {sayings}, "{#saying}."',
		[2, 'They ate {foods}, {foods} and {foods} {sides} a {placeAdjectives} {spots}.'],
	],
	saying: [
		[2, 'I like {foods}, {foods} and {foods}'],
		'I am {feelings}, {feelings} and {feelings}',
		'My {sizes} {things} is {colors}',
		'You look {feelings} and {feelings}',
	],

	trouble: [
		[2, '"My {sizes} {colors} {thing=things} is in a {placeAdjectives} {far=farPlaces}," {sayings} the {animal}.'],
		'The {animal} wanted a {sizes} {colors} {thing=things} from the {placeAdjectives} {far=farPlaces}.',
		[2, 'A {moods} {colors} thief took its {sizes} {colors} {thing=things} to a {placeAdjectives} {far=farPlaces}.'],
	],

	help: [
		[3, '{hero} {searches} {sides} a {placeAdjectives} {spots} and got the {thing}, {foods} and {foods}.'],
		[2, 'They took {foods}, {foods} and a {sizes} {colors} {things} to the {far}.'],
		'"Get {foods}, {foods} and a {sizes} {colors} {things} for the {far}," {sayings} {hero.he}.',
	],

	ending: [
		[3, 'The {animal} gave {hero.him} {foods}, {foods} and a {sizes} {colors} {things}.'],
		[2, 'So {hero} had the {thing}, {foods}, {foods} and a {sizes} {colors} {things}.'],
		[2, 'In the {place} a {moods} {colors} {animals} sold them {foods}, {foods} and {foods}.'],
		'{hero.He} {sayings}, "{#saying}."',
	],
};
