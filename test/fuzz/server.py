"""psql behind a pipe, and a throwaway cluster made by the scripts of this
repository."""

import os
import re
import subprocess

CODE = re.compile(r'(ERROR|WARNING|FATAL|PANIC):\s+(\w{5}):?\s*(.*)')


class Crash(Exception):
    pass


class Answer:
    """What psql printed for one statement."""

    def __init__(self, lines):
        self.lines = lines
        self.errors, self.warnings = [], []
        self.rows = []
        for line in lines:
            found = CODE.search(line)
            if found and found.group(1) == 'WARNING':
                self.warnings.append((found.group(2), found.group(3)))
            elif found:
                self.errors.append((found.group(2), found.group(3)))
            elif line.startswith('='):
                self.rows.append(line[1:])

    def verdict(self):
        if any(code == 'SG001' for code, text in self.errors):
            return 'reject'
        if any(code == 'SG001' for code, text in self.warnings):
            return 'doubt'
        return 'accept'

    def failure(self):
        """An error that is not the rule's, or nothing."""
        for code, text in self.errors:
            if code != 'SG001':
                return '%s %s' % (code, text)
        return None

    def message(self):
        for code, text in self.errors + self.warnings:
            return text
        return ''


class Psql:
    def __init__(self, options):
        command = [options.psql, '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=verbose',
                   '-v', 'SHOW_CONTEXT=never']
        for name in ('host', 'port', 'user', 'dbname'):
            if getattr(options, name):
                command += ['--' + name, getattr(options, name)]
        env = dict(os.environ, PGAPPNAME='fuzz', LC_ALL='C', PGCLIENTENCODING='UTF8')
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=env, text=True, encoding='utf-8')
        self.path = options.script
        self.count = 0

    def run(self, sections):
        """Runs [(name, sql)], answers {name: Answer}."""
        self.count += 1
        end = '@@end %d' % self.count
        with open(self.path, 'w') as script:
            for name, sql in sections:
                script.write('\\echo @@%s\n%s\n' % (name, sql))
        self.process.stdin.write('\\i %s\n\\echo %s\n' % (self.path, end))
        self.process.stdin.flush()
        found, lines = {}, []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise Crash('the connection was lost')
            line = line.rstrip('\n')
            if line == end:
                break
            if line.startswith('@@'):
                lines = found[line[2:]] = []
            else:
                lines.append(line)
        answers = {name: Answer(text) for name, text in found.items()}
        for answer in answers.values():
            text = ' '.join(answer.lines)
            if 'server closed the connection' in text or 'connection to server was lost' in text \
                    or 'terminating connection' in text:
                raise Crash(text)
        return answers

    def close(self):
        self.process.stdin.close()
        self.process.wait()


CLUSTER = r'''
set -euo pipefail
. "$1/script/lib.sh"
"$1/script/setup" >&2
sg_find_pg_config
sg_make_work
trap sg_remove_work EXIT
sg_copy_source
sg_copy_postgres
sg_own_work
sg_build COPT="${SG_COPT:--Werror}" >"$SG_WORK/build.log" 2>&1 || { cat "$SG_WORK/build.log" >&2; exit 1; }
sg_start_cluster data "shared_preload_libraries = 'safeguard'"
sg_as "$SG_BIN/psql" -X -q -h "$SG_WORK" -U postgres -d postgres \
    -c 'CREATE EXTENSION safeguard' >&2
echo "$SG_WORK $SG_BIN/psql"
read -r _ || true
'''


class Cluster:
    """A cluster of our own, removed when this process ends."""

    def __init__(self, source):
        self.process = subprocess.Popen(
            ['bash', '-c', CLUSTER, 'fuzz', source], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        words = self.process.stdout.readline().split()
        if len(words) != 2:
            self.process.wait()
            raise SystemExit('the throwaway cluster did not start')
        self.folder, self.psql = words

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
