/** The names and words that the demo's shop is made of. */
import type { Random } from './random.ts';

const FIRST = [
	'Ada',
	'Chinua',
	'Clarice',
	'Doris',
	'Elif',
	'Gabriel',
	'Haruki',
	'Ines',
	'Jorge',
	'Karel',
	'Lu'
];
const LAST = [
	'Achebe',
	'Borges',
	'Čapek',
	'Ferrante',
	'Lispector',
	'Márquez',
	'Murdoch',
	'Ōe',
	'Şafak',
	'Xun'
];
const ADJECTIVES = [
	'Quiet',
	'Last',
	'Hidden',
	'Borrowed',
	'Salt',
	'Winter',
	'Paper',
	'Second',
	'Long',
	'Bright'
];
const NOUNS = [
	'River',
	'Orchard',
	'Archive',
	'Lighthouse',
	'Garden',
	'Letter',
	'Harbour',
	'Mirror',
	'Atlas',
	'Year'
];
const REMARKS = [
	'Could not put it down.',
	'The middle drags, the end forgives it.',
	'A gift, and now I want it back.',
	'Not for me, but beautifully printed.',
	'Read it twice; the second time it was another book.',
	'My copy came with a coffee stain. It suits the story.'
];

export const GENRES = ['fiction', 'poetry', 'history', 'science', 'travel', 'crime'] as const;
export const COUNTRIES = ['AR', 'BR', 'CZ', 'GB', 'IT', 'JP', 'NG', 'TR'] as const;
export const WAREHOUSES = ['Lisbon', 'Tallinn'] as const;

export const name = (random: Random) => `${random.pick(FIRST)} ${random.pick(LAST)}`;

export const title = (random: Random) =>
	`${random.pick(['The ', 'A ', ''])}${random.pick(ADJECTIVES)} ${random.pick(NOUNS)}`;

/** Mostly a sentence; sometimes an essay, and now and then one that is too long for anyone's feed. */
export function remark(random: Random): string {
	const chance = random.next();
	const sentences = chance < 0.9 ? 1 : chance < 0.99 ? random.between(10, 40) : 600;
	return Array.from({ length: sentences }, () => random.pick(REMARKS)).join(' ');
}

export const email = (person: string, random: Random) =>
	`${person
		.normalize('NFD')
		.replace(/[^A-Za-z ]/g, '')
		.toLowerCase()
		.replaceAll(' ', '.')}${random.between(1, 999)}@example.org`;

/** Between the two, with two digits after the point. */
export const money = (random: Random, low: number, high: number) =>
	(low + random.next() * (high - low)).toFixed(2);
