/** The alternatives: how a trigger is usually written that shows changes as they happen. */

/** Every changed row in pg_notify. Payloads must stay below 8,000 bytes, or the write fails. */
export const NOTIFY = (tables: string[]) => `
	create function notify_change() returns trigger language plpgsql as $$
	begin
		perform pg_notify('changes', json_build_object('table', tg_table_name, 'op', tg_op, 'row', row_to_json(new))::text);
		return null;
	end
	$$;
	${triggers(tables, 'notify_change')}`;

/** The same, and the rows that reference the changed one, found by way of information_schema, as tutorials do. */
export const TUTORIAL = (tables: string[]) => `
	create function notify_change() returns trigger language plpgsql as $$
	declare
		key record;
		found json;
		related json[] := '{}';
	begin
		for key in
			select tc.table_schema, tc.table_name, kcu.column_name, ccu.column_name as referenced
			from information_schema.table_constraints tc
			join information_schema.key_column_usage kcu
				on kcu.constraint_name = tc.constraint_name and kcu.table_schema = tc.table_schema
			join information_schema.constraint_column_usage ccu
				on ccu.constraint_name = tc.constraint_name and ccu.table_schema = tc.table_schema
			where tc.constraint_type = 'FOREIGN KEY' and ccu.table_schema = tg_table_schema and ccu.table_name = tg_table_name
		loop
			execute format('select json_agg(r) from (select * from %I.%I where %I = ($1).%I limit 20) r',
				key.table_schema, key.table_name, key.column_name, key.referenced) into found using new;
			related := related || json_build_object('table', key.table_name, 'rows', found);
		end loop;
		perform pg_notify('changes', json_build_object('table', tg_table_name, 'op', tg_op, 'row', row_to_json(new),
			'related', related)::text);
		return null;
	end
	$$;
	${triggers(tables, 'notify_change')}`;

const triggers = (tables: string[], call: string) =>
	tables
		.map(
			(table) =>
				`create trigger notify_change after insert or update on ${table} for each row execute function ${call}();`
		)
		.join('\n');
