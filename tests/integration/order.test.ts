/**
 * A row's changes stand in its order also where one statement changes it within another: PostgreSQL runs the triggers of
 * the inner statement first.
 */
import { describe, expect, test } from 'vitest';
import type { Change } from '../../src/lib/protocol.ts';
import { majors } from '../support/database.ts';
import { follow } from '../support/follow.ts';
import { useRecording } from '../support/recording.ts';

/** A trigger on table t that writes to other rows of it. */
const trigger = (when: string, condition: string, write: string) => `
	create function others() returns trigger language plpgsql as $$ begin
		if ${condition} then ${write}; end if; return new;
	end $$;
	create trigger others ${when} on t for each row execute function others()`;

/** On a table t whose rows 1 to 4 have the v 0: what it needs, what is written, and what row 3's v was. */
const WITHIN: Record<string, { needs: string; write: string; v: number[] }> = {
	'by a trigger after another row': {
		needs: trigger(
			'after update',
			'new.id = 1 and pg_trigger_depth() = 1',
			'update t set v = v + 10 where id >= 3'
		),
		write: 'update t set v = v + 1',
		v: [0, 1, 11]
	},
	'by a trigger that gives back what the statement took: the values alone do not tell which came first': {
		needs: trigger(
			'after update',
			'new.id = 1 and pg_trigger_depth() = 1',
			'update t set v = 0 where id = 3'
		),
		write: 'update t set v = 1',
		v: [0, 1, 0]
	},
	'by triggers within triggers': {
		needs: trigger(
			'after insert or update',
			'new.id < 3 and pg_trigger_depth() < 4',
			'update t set v = v * 2 + 1 where id > new.id'
		),
		write: 'update t set v = v + 1',
		v: [0, 1, 3, 7, 15]
	},
	'by more triggers within each other than there is room for before the last': {
		needs: trigger('after update', 'new.id = 1 and new.v < 40', 'update t set v = v + 1'),
		write: 'update t set v = v + 1',
		v: Array.from({ length: 41 }, (_, i) => i)
	},
	'by a trigger before a later row': {
		needs: trigger(
			'before update',
			'new.id = 4 and pg_trigger_depth() = 1',
			'update t set v = v + 10 where id = 3'
		),
		write: 'update t set v = v + 1',
		v: [0, 1, 11]
	},
	'by a function within the statement, in a subtransaction': {
		needs: `create function others(id int) returns int language plpgsql as $$ begin
				if $1 = 4 then
					begin
						update t set v = v + 10 where t.id = 3;
					exception when division_by_zero then null;
					end;
				end if;
				return 1;
			end $$`,
		write: 'update t set v = v + 1 returning others(id)',
		v: [0, 1, 11]
	},
	'by a cascade to the table itself': {
		needs: `alter table t add w int unique, add up int references t (w) on update cascade;
			update t set w = id; update t set up = id - 1 where id > 1`,
		write: 'update t set v = v + 1, w = w + 100',
		v: [0, 1]
	},
	'not at all, though its versions are locked': {
		needs: '',
		write:
			'begin; update t set v = 1; update t set v = 0; select * from t for update; update t set v = 1; commit',
		v: [0, 1, 0, 1]
	}
};

describe.each(majors())('PostgreSQL %i', (major) => {
	const { log, query, record, database } = useRecording(major);
	const v = (json: string | null) => (json === null ? null : (JSON.parse(json).v as number));

	/** What a row's value was, from change to change. Each begins with what the one before it ended with. */
	function history(changes: Change[], id: number): (number | null)[] {
		const of = changes.filter(({ key }) => key?.id === String(id));
		of.slice(1).forEach((change, i) => expect(change.before).toBe(of[i]!.after));
		return [v(of[0]!.before), ...of.map(({ after }) => v(after))];
	}

	test.each(Object.entries(WITHIN))('%s', async (_, { needs, write, v }) => {
		await query(`drop table if exists t; drop function if exists others()`);
		const changes = await record(
			`create table t (id int primary key, v int); insert into t select i, 0 from generate_series(1, 4) i; ${needs}`,
			write
		);
		expect(history(changes, 3).filter((each, i, all) => each !== all[i - 1])).toEqual(v);
		for (const id of [1, 2, 4]) history(changes, id);
		expect(new Set(changes.map(({ seq }) => seq)).size).toBe(changes.length);
		// A row's life is read by another way, newest first.
		const { changes: life } = await log().reader.row({ schema: 'public', table: 't', key: { id: '3' } });
		const of = changes.filter(({ key }) => key?.id === '3');
		expect(life.slice(0, of.length).reverse()).toEqual(of);
	});

	test('as it happens', async () => {
		await query(`
			create table live (id int primary key, v int);
			create function live() returns trigger language plpgsql as $$ begin
				update live set v = v + 1 where id = new.id + 1; return null;
			end $$;
			create trigger others after insert on live for each row execute function live()`);
		const server = await follow(database().url);
		await query('insert into live select i, 0 from generate_series(1, 20) i');
		await server.until('the rows', ({ ticks }) => ticks.some(({ changes }) => changes.length === 39));
		await server.close();
		const changes = server.ticks.flatMap((tick) => tick.changes);
		for (let id = 2; id <= 20; id++) expect(history(changes, id)).toEqual([null, 0, 1]);
	});

	test('where a publication is for all tables, which have no key of their own', async () => {
		await query('create publication everything for all tables');
		const changes = await record(
			`create table published (id int primary key, v int);
			create function published() returns trigger language plpgsql as $$ begin
				update published set v = v + 1 where id = new.id + 1; return null;
			end $$;
			create trigger others after insert on published for each row execute function published()`,
			'insert into published values (1, 0), (2, 0)'
		);
		expect(history(changes, 2)).toEqual([null, 0, 1]);
		await query(
			'select rowcast.rotate(); select rowcast.prune(); select rowcast.maintain(); drop publication everything'
		);
	});

	test('each of thousands', async () => {
		const changes = await record(
			`create table ring (id int primary key, v int);
			create function ring() returns trigger language plpgsql as $$ begin
				update ring set v = v + 1 where id = 1 + new.id % 3000; return null;
			end $$;
			create trigger others after insert on ring for each row execute function ring()`,
			'insert into ring select i, 0 from generate_series(1, 3000) i'
		);
		expect(changes).toHaveLength(6000);
		expect(new Set(changes.map(({ seq }) => seq)).size).toBe(6000);
		for (let id = 1; id <= 3000; id++) expect(history(changes, id)).toEqual([null, 0, 1]);
	});
});
