"""The oracle: runs both statements of a pair and compares what they touch."""

import random

import model
import pairs
import rows
from schema import Schema, literal
from words import Words

PAIRS = 30          # of one schema
FILLINGS = 40       # so many fillings until a reject has to show its difference
SAME = 3            # so many on which an accept has to touch the same rows


class Tally:
    def __init__(self, chosen):
        self.seed = chosen.seed
        self.statements = self.accepted = self.doubted = self.rejected = 0
        self.prepared = self.groups = 0
        self.found = []

    def count(self, verdict):
        self.statements += 1
        if verdict == model.ACCEPT:
            self.accepted += 1
        elif verdict == model.DOUBT:
            self.doubted += 1
        else:
            self.rejected += 1

    def crash(self, number, crash):
        self.found.append('crash')
        print('\nDISAGREEMENT %d: schema %d: the server crashed: %s'
              % (len(self.found), number, crash))

    def summary(self):
        return ('%d statements judged: %d accepted (%d of them fragments that choose groups), '
                '%d doubted, %d rejected; %d prepared; %d disagreements' % (
                    self.statements, self.accepted, self.groups, self.doubted,
                    self.rejected, self.prepared, len(self.found)))


class Case:
    """A pair with both statements and what became of them."""

    def __init__(self, pair, index):
        self.pair, self.index = pair, index
        self.write()
        self.answer = {}
        self.touched = {}
        self.prepared = {}
        self.differs = None     # the filling that showed it
        self.last = None

    def write(self):
        self.sql = {w: Words(self.pair, w == 'W').write() for w in 'WF'}

    def prepare(self, which, rng):
        """The statement prepared, with parameters or without."""
        values = []

        def parameter(typ, n):
            if (typ, n) not in values:
                values.append((typ, n))
            return '$%d' % (values.index((typ, n)) + 1)
        if rng.random() < 0.6 and not self.two_values():
            sql = Words(self.pair, which == 'W', parameter).write()
        else:
            sql = self.sql[which]
        types = ' (%s)' % ', '.join(t for t, n in values) if values else ''
        given = ' (%s)' % ', '.join(literal(t, n) for t, n in values) if values else ''
        return 'PREPARE z%s AS %s;\nEXECUTE z%s;' % (types, sql, given)

    def two_values(self):
        """Planning cannot tell parameters apart."""
        p = self.pair
        single = [c for c in list(p.outside.values()) + list(p.inside.values())
                  if c[0] == 'const']
        return len(single) > 1 or bool(p.target.pin or p.target.checks or p.source.pin
                                       or p.source.checks)


def session():
    return 'SET search_path = fuzz; SET session_replication_role = replica;'


def measured(case, which, on=True):
    """SQL that runs a statement in a transaction of its own and tells which
    rows are left as they were."""
    table = case.pair.target.root.name
    return '\n'.join([
        'BEGIN;', '' if on else 'SET LOCAL safeguard.enabled = off;',
        case.sql[which] + ';',
        "SELECT '=' || coalesce(string_agg(rid::text, ',' ORDER BY rid), '') FROM %s "
        'WHERE mark = 0;' % table, 'ROLLBACK;'])


def touched(case, answer):
    if answer.failure() or not answer.rows:
        return None
    left = {int(n) for n in answer.rows[-1].split(',') if n}
    everything = {r['rid'] for r in case.pair.target.root.rows}
    return frozenset(everything - left)


def schema(psql, tally, seed, number):
    """One schema, its pairs and all fillings that they need."""
    rng = random.Random('%d/%d' % (seed, number))
    s = Schema(rng, number)
    cases = []
    for i in range(PAIRS * 4):
        pair = pairs.make(rng, s)
        if pair:
            cases.append(Case(pair, len(cases) + 1))
        if len(cases) == PAIRS:
            break
    setup = ['SET client_min_messages = error; SET safeguard.enabled = off;',
             'DROP SCHEMA IF EXISTS fuzz CASCADE; DROP TABLE IF EXISTS pg_temp.x;',
             'CREATE SCHEMA fuzz;', session()] + s.ddl()
    rows.fill(s, rng, True)
    load = rows.script(s)
    sections = [('setup', '\n'.join(
        setup + load + ['RESET client_min_messages; RESET safeguard.enabled;']))]
    for case in cases:
        for which in 'WF':
            sections.append(('%d%s' % (case.index, which), measured(case, which)))
            if rng.random() < 0.15:
                case.prepared[which] = case.prepare(which, rng)
                sections.append(('%d%sp' % (case.index, which), '\n'.join(
                    ['BEGIN;', case.prepared[which], 'ROLLBACK;',
                     'DEALLOCATE ALL;'])))
    sections.append(('status', "SELECT '=' || value FROM safeguard.status() "
                     "WHERE item = 'unjudged';"))
    report = Report(tally, s, number)
    answers = psql.run(sections)
    if answers['setup'].errors:
        raise SystemExit('schema %d: %s\n%s' % (
            number, answers['setup'].lines, '\n'.join(setup + load)))
    report.load = load
    for case in cases:
        judged(case, answers, tally, report)
    unjudged = answers['status'].rows
    if not unjudged or unjudged[0] != str(getattr(tally, 'unjudged', 0)):
        report.plain('safeguard.status() counts %s unjudged' % unjudged)
        tally.unjudged = int(unjudged[0]) if unjudged else 0
    execution(psql, s, rng, [c for c in cases if c.answer['W'].verdict() == model.ACCEPT],
              tally, report)


def judged(case, answers, tally, report):
    """Verdicts, and what they say without any rows."""
    p = case.pair
    for which in 'WF':
        answer = case.answer[which] = answers['%d%s' % (case.index, which)]
        tally.count(answer.verdict())
        failure = answer.failure()
        if failure and not known_failure(failure):
            raise SystemExit('bad statement: %s\n%s' % (case.sql[which], failure))
        prepared = answers.get('%d%sp' % (case.index, which))
        if prepared:
            tally.prepared += 1
            failure = prepared.failure()
            if failure and not known_failure(failure):
                raise SystemExit('bad statement: %s\n%s' % (case.prepared[which], failure))
            if prepared.verdict() != answer.verdict():
                report.case(case, 'prepared it is judged %s:\n%s' % (
                    prepared.verdict(), case.prepared[which]), which)
    verdict = case.answer['F'].verdict()
    if case.answer['W'].verdict() != model.ACCEPT:
        report.case(case, 'the whole key is compared, and not accepted', 'W')
    elif p.expect[0] not in (verdict, model.UNSURE):
        report.case(case, 'the procedure says %s by step %d' % p.expect, 'F')
        case.reported = True


def known_failure(failure):
    # MERGE that touches a row twice; in the transaction that it ended
    return failure.startswith(('21000', '25P02'))


def group_operation(p):
    """An accept that need not touch the same rows, by the procedure."""
    verdict, step = p.expect
    if verdict == model.UNSURE:
        return True
    if p.form in ('recursive', 'maxcorr', 'except', 'union') and step in (2, 3):
        # the fragment is not only compared, it also chooses
        return True
    if step in (2, 3):
        # unique in the target, but the source is no relative of it
        return not related(p)
    pinned = dict(model.bounds(p.target), **p.outside)
    if any(all(model.single_value(pinned.get(c)) for c in key) for key in p.target.keys()):
        return True             # the statement says which row
    # the generator knows of columns that belong together, the catalogs do not
    hidden = any(model.sibling(p.target, tc, p.source)[0] != sc
                 for tc, sc in p.whole if (tc, sc) not in p.part)
    if p.second:
        hidden = hidden or any(model.sibling(p.target, tc, p.second)[0] != sc
                               for tc, sc in p.second_pairs.items())
    return step >= 5 or hidden


def must_differ(p):
    """A reject has to show its difference, except where the data cannot."""
    for table in (p.target, p.source):
        division = table.root.partition
        if division and division[0] == 'hash' and table is not table.root:
            return False        # nobody knows what a leaf of hashes holds
    if p.form == 'window':
        # can there be a second row in any window?
        fixed = {c for c, r in p.inside.items() if r[0] == 'const'}
        fixed |= set(p.source.pin) | set(p.source.checks) | {p.tag}
        if fixed >= {sc for tc, sc in p.whole} or p.source.root.heir or (
                p.tag in p.source.unique_values) or any(
                c.formula for c in p.source.columns.values()):
            return False
    if p.form in ('max', 'maxcorr', 'groupmax') and p.target.values and (
            p.part[0][0] == p.target.partition_key[1]):
        return False            # the largest value is hardly the leaf's
    if any(c.formula for c in p.target.columns.values()) and (
            p.outside or not model.family(p.target, p.source)):
        return False            # other columns decide about the formula's
    for tc, sc in p.whole:
        names = {tc, sc}
        foreign = p.target.foreign + p.source.foreign
        if p.second:
            names.add(p.second_pairs[tc])
            foreign = foreign + p.second.foreign
        # the value is unique, or one only, in the table that it references
        for columns, ref, refs in foreign:
            for name, rc in zip(columns, refs):
                if name in names and (rc in ref.unique_values or rc in ref.checks):
                    return False
    return True


def related(p):
    """Every source row has the whole key of the target row that it means."""
    if p.second or p.source.heir or p.target.heir:
        return False
    return model.family(p.target, p.source) or any(
        model.family(f[1], p.target) for f in p.source.foreign)


def execution(psql, s, rng, cases, tally, report):
    """Fillings, until every pair has shown what its verdicts promise."""
    same, differ = [], []
    for case in cases:
        verdict = case.answer['F'].verdict()
        if getattr(case, 'reported', False):
            continue
        if verdict == model.REJECT:
            if must_differ(case.pair):
                differ.append(case)
        elif verdict == model.ACCEPT:
            if group_operation(case.pair):
                tally.groups += 1
            else:
                same.append(case)
    for filling in range(FILLINGS):
        todo = [c for c in differ if c.differs is None] + (same if filling < SAME else [])
        if not todo:
            break
        sections = []
        if filling:
            # every other one for one pair
            wishes = pairs.wishes(todo[filling % len(todo)].pair) if filling % 2 else None
            rows.fill(s, rng, filling % 2 == 0, wishes)
            report.load = rows.script(s)
            sections.append(('fill', '\n'.join(
                ['SET safeguard.enabled = off;'] + report.load + ['RESET safeguard.enabled;'])))
        for case in todo:
            if case.pair.values:
                pairs.sample(rng, case.pair)
                case.write()
            for which in 'WF':
                sections.append(('%d%s' % (case.index, which), measured(case, which, False)))
        answers = psql.run(sections)
        if filling and answers['fill'].errors:
            raise SystemExit('filling: %s' % answers['fill'].lines)
        for case in todo:
            w, f = (touched(case, answers['%d%s' % (case.index, x)]) for x in 'WF')
            case.touched = {'W': w, 'F': f}
            case.last = report.load
            if w is None or w == f:
                continue
            case.differs = filling
            if case in same:
                same.remove(case)
                report.case(case, 'accepted, but other rows are touched', 'F')
    for case in differ:
        if case.differs is None:
            report.case(case, 'rejected, but the same rows are touched with %d fillings'
                        % FILLINGS, 'F')


class Report:
    """Prints disagreements as cases that can be repeated."""

    def __init__(self, tally, s, number):
        self.tally, self.s, self.number = tally, s, number
        self.load = []

    def head(self, text):
        self.tally.found.append(text)
        print('\n-- DISAGREEMENT %d: seed %d, schema %d: %s' % (
            len(self.tally.found), self.tally.seed, self.number, text))

    def plain(self, text):
        self.head(text)

    def used(self, p):
        """The tables that a case needs."""
        names = {p.target.root.name, p.source.root.name}
        names |= {table.name for table in p.joins.values()}
        names |= {table.name for table, value in p.other.values()}
        names |= {p.second.name} if p.second else set()
        if p.values:
            names.discard('x')
        for table in reversed(self.s.order()):
            if table.name in names:
                names |= {ref.name for columns, ref, refs in table.foreign}
        return [table for table in self.s.order() if table.name in names]

    def case(self, case, why, which):
        p = case.pair
        self.head('pair %d, %s' % (case.index, why))
        print('-- the statement in question is %s; form %s, target %s, source %s'
              % (which, p.form, p.target_name, p.values or p.source_name))
        print('-- outside %s, inside %s, the procedure says %s by step %s' % (
            p.outside, p.inside, p.expect[0], p.expect[1]))
        print('-- schema of shape: %s' % self.s.shape)
        used = self.used(p)
        for table in used:
            print('\n'.join(table.ddl()))
        inserts = ['INSERT INTO %s ' % name for table in used
                   for name in (table.name, table.heir)]
        for line in case.last or self.load:
            if line.startswith(tuple(inserts)):
                print(line)
        for w in 'WF':
            answer = case.answer[w]
            rows_text = case.touched.get(w)
            print('-- %s: %s%s' % (
                w, answer.verdict(), '' if not case.touched else ', rows ' + (
                    ' '.join(str(n) for n in sorted(rows_text)) or 'none'
                    if rows_text is not None else 'an error')))
            if answer.message():
                print('--    ' + answer.message())
                for line in answer.lines:
                    if line.startswith('DETAIL'):
                        print('--    ' + line)
            print(case.sql[w] + ';')
        print(flush=True)
