import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import svelte from 'eslint-plugin-svelte';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

export default defineConfig(
	{ ignores: ['build/', 'dist/', '.svelte-kit/', '.rowcast/', 'test-results/', 'playwright-report/'] },
	js.configs.recommended,
	...ts.configs.recommended,
	...svelte.configs.recommended,
	{
		rules: {
			// TypeScript looks names up, and knows the browser's from Node's.
			'no-undef': 'off',
			'no-console': 'off',
			// Playwright's fixtures take their dependencies from a pattern, even when they have none.
			'no-empty-pattern': ['error', { allowObjectPatternsAsParameters: true }],
			// Two that need each other: one is declared first and assigned once.
			'prefer-const': ['error', { ignoreReadBeforeAssign: true }],
			eqeqeq: ['error', 'always', { null: 'ignore' }],
			'@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
			'@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
			'@typescript-eslint/no-non-null-assertion': 'off'
		}
	},
	{
		files: ['**/*.svelte', '**/*.svelte.ts'],
		languageOptions: { parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig } },
		rules: {
			// One page, served at the root: nothing to resolve.
			'svelte/no-navigation-without-resolve': 'off',
			// Runes change what `let` and `const` mean; the plugin's own rule knows.
			'prefer-const': 'off',
			'svelte/prefer-const': 'error'
		}
	}
);
