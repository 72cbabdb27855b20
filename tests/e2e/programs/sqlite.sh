#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sqlite3: a database on a volume that outlives its VM, also when VM and command line are killed amid writing.
. "$(dirname "$0")/lib.sh"
need sqlite3
mkdir db
volume="$work/db:$work/db:rw"

cat >load.sql <<'END'
create table t (id integer primary key, name text, n integer);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 20000)
insert into t (name, n) select 'name ' || (x % 997), x * 7 from c;
create index i on t (name);
select name, count(*), sum(n) from t group by name order by sum(n) desc limit 5;
select count(*) from t where name like '%99%';
update t set n = n + 1 where id % 3 = 0;
delete from t where id % 5 = 0;
vacuum;
select sum(n), count(*), min(id), max(id) from t;
pragma integrity_check;
END
stdin=load.sql same -- sqlite3 :memory:
guest -i -v "$volume" -- sqlite3 "$work/db/test.db" <load.sql >first 2>err || fail "cannot load: $(cat err)"
[ "$(tail -1 first)" = ok ] || fail "loaded: $(cat first err)"
[ "$(sqlite3 db/test.db 'select sum(n), count(*) from t; pragma integrity_check')" = "$(sqlite3 :memory: <load.sql | tail -2 | sed 's/^\([0-9]*|[0-9]*\)|.*/\1/')" ] ||
	fail "the host sees another database"
gives "$(sqlite3 db/test.db 'select sum(n) from t')" -v "$volume" -- sqlite3 "$work/db/test.db" 'select sum(n) from t'

# Without rw nothing reaches the host, yet the VM sees its own writes.
before=$(sha256sum <db/test.db)
gives 1 -v "$work/db:$work/db" -- sqlite3 -readonly "$work/db/test.db" 'select count(*) from t where id = 1'
guest -v "$work/db:$work/db" -- sqlite3 "$work/db/test.db" 'delete from t' >/dev/null 2>&1
if [ "$lampo" != native ]; then
	[ "$before" = "$(sha256sum <db/test.db)" ] || fail "a read-only volume was written"
fi

# ended PID: waits until no thread of the process runs any more, so that nothing is written behind the host's back.
ended() {
	i=0
	while [ -n "$(cat /proc/"$1"/task/*/stat 2>/dev/null | sed 's/.*) //' | grep -v '^[ZX]')" ] && [ $i -lt 100 ]; do
		sleep 0.1
		i=$((i + 1))
	done
}

# Journal modes; killed in the middle of one transaction after another.
for mode in delete wal; do
	rm -rf db/*
	sqlite3 db/kill.db "pragma journal_mode=$mode; create table t (id integer primary key, a blob); create index i on t (a)" >/dev/null
	{
		echo '.echo off'
		i=0
		while [ $i -lt 20000 ]; do
			echo "begin; insert into t (a) values (randomblob(300)); insert into t (a) values (randomblob(300)); commit;"
			i=$((i + 1))
		done
	} >many.sql
	for round in 1 2 3; do
		# Only sizes are looked at meanwhile: locks taken in the VM are not seen on the host.
		before=$(du -b db | cut -f1)
		# A session of its own, so that everything of the VM can be killed at once.
		if [ "$lampo" = native ]; then
			setsid sqlite3 db/kill.db <many.sql >/dev/null 2>&1 &
		else
			# shellcheck disable=SC2086
			setsid "$lampo" run ${VM_OPTIONS:-} -i -v "$volume" -- sqlite3 "$work/db/kill.db" <many.sql >out 2>&1 &
		fi
		pid=$!
		# Remembered, not measured again later: a journal that is counted now may be gone by then.
		written=0
		i=0
		while kill -0 $pid 2>/dev/null && [ $i -lt 300 ]; do
			[ "$(du -b db | cut -f1)" -lt $((before + 60000)) ] || { written=1; break; }
			sleep 0.1
			i=$((i + 1))
		done
		# The monitor first, then the command line; both by their own ids.
		victims="$(ps -o pid= --ppid $pid) $pid"
		for victim in $victims; do kill -9 "$victim" 2>/dev/null; done
		wait $pid 2>/dev/null
		for victim in $victims; do ended "$victim"; done
		[ $written = 1 ] || { fail "$mode, round $round: nothing was written; $(head -c 500 out 2>/dev/null)"; break; }
		check=$(sqlite3 -cmd '.timeout 5000' db/kill.db 'pragma integrity_check; select count(*) % 2 from t')
		[ "$check" = "ok
0" ] || fail "$mode, round $round: after kill -9: $check"
	done
	gives ok -v "$volume" -- sqlite3 "$work/db/kill.db" 'pragma integrity_check'
done
finish
