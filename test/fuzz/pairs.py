"""What a pair of statements is about, before it is put into words.

A Pair fixes target, source, the columns compared by the whole and by the
fragment, what is constrained inside and what restricted outside.
"""

import copy

import model
from rows import constant

SUBQUERY_FORMS = [
    'in', 'in', 'in', 'any', 'some', 'anyarray', 'arrayagg', 'unnestagg', 'exists',
    'exists', 'count', 'notin', 'notall', 'notexists', 'limit1', 'max', 'maxcorr', 'cte', 'cte2',
    'nested', 'recursive', 'union', 'except', 'distinct', 'diston', 'window', 'having',
    'groupmax', 'transitive', 'nearly', 'split', 'crossed', 'wrong', 'or', 'or']
JOIN_FORMS = ['from', 'from', 'from', 'fromsub', 'ctejoin', 'lateral', 'merge', 'merge',
              'mergesub', 'mergeand', 'returning']

COMPARABLE = ('int', 'bigint', 'smallint')


def comparable(a, b):
    return a.type == b.type or (a.type in COMPARABLE and b.type in COMPARABLE)


class Pair:
    def __init__(self):
        self.form = self.verb = None
        self.target = self.source = None        # model.Table
        self.target_name = self.source_name = None
        self.whole, self.part = [], []          # (target column, source column)
        self.outside, self.inside = {}, {}
        self.attributes = []                    # (source column, value)
        self.noise = []                         # (target column, kind, value)
        self.set_reads = False
        self.wrap = None                        # cast, plus, coalesce
        self.joins = {}                         # source column -> parent table
        self.values = None                      # FROM text of a function or VALUES
        self.second = None                      # another source, of a union arm
        self.second_pairs = None
        self.tag = None                         # the dropped column a form uses
        self.marks = {}                         # source column -> part, diston, group
        self.dml_cte = False
        self.other = {}                         # target column -> parent, value
        self.expect = None                      # (verdict, step) of the fragment

    def match(self, pairs, inside=None, source=None):
        m = model.Match(self.target, source or self.source, pairs, self.outside,
                        self.inside if inside is None else inside)
        m.set_reads = self.set_reads
        return m


def relation(rng, table, near=None):
    """A name to reach the table by, and the Table to judge by.  Leaves hold
    several values of the column they are made by, or are pinned to one."""
    if table.leaves and rng.random() < 0.25:
        i = 0
        if table.partition[0] != 'range':
            i = rng.choice([0, 1])
        name, bound = table.leaves[i]
        pin, values = {}, ()
        if table.partition[0] == 'list':
            pin, values = [({table.partition[1]: 1}, (1,)), ({}, (2, 3))][i]
        elif table.partition[0] == 'range':
            values = (1, 2)
        if near in [n for n, b in table.leaves] and near != name:
            return table.name, table
        return name, table.leaf(name, pin, values)
    if table.heir and rng.random() < 0.15:
        leaf = table.leaf(table.heir, {})
        leaf.heir, leaf.foreign = None, []
        leaf.uniques = []
        return table.heir, leaf
    if table.view and rng.random() < 0.3:
        return table.view, table
    return table.name, table


def make(rng, schema):
    """A Pair, or None if the dice made none."""
    p = Pair()
    tables = schema.tables
    target = tables[rng.choice([n for n in ('t', 't', 't', 't', 't', 'c', 'q', 'n')
                                if n in tables])]
    if not any(len(k) > 1 for k in target.keys()) and not any(
            len(f[0]) > 1 for f in target.foreign):
        return None
    p.target_name, p.target = relation(rng, target)
    p.form = rng.choice(SUBQUERY_FORMS + JOIN_FORMS)
    if p.form == 'wrong':
        return wrong(rng, schema, p)
    others = [n for n in ('c', 'q', 'n', 'x') if n in tables and n != target.name]
    source = tables[rng.choice(others)] if others and rng.random() < 0.5 else target
    p.source_name, p.source = relation(rng, source, p.target_name)
    if source.name == 'x' and rng.random() < 0.5 and p.form not in ('recursive', 'returning'):
        p.source = copy.copy(source)
        p.values = rng.choice(['values', 'unnest', 'json'])
        sample(rng, p)
    p.whole = [(target.by_tag(tag).name, source.by_tag(tag).name)
               for tag in target.key_tags() if source.by_tag(tag)]
    if len(p.whole) < 2:
        return None
    size = rng.randint(1, len(p.whole) - 1)
    p.part = sorted(rng.sample(p.whole, size), key=p.whole.index)
    dropped = [c for c in p.whole if c not in p.part]
    constraints(rng, schema, p, dropped)
    choose_verb(rng, p)
    if not shape(rng, schema, p, dropped):
        return None
    whole = expectation(p, p.whole)
    if whole[0] != model.ACCEPT:
        return None
    p.expect = expectation(p, p.part)
    return p


def sample(rng, p):
    """Rows for VALUES and the like, many of them those of the target."""
    p.source.sample = []
    for i in range(8):
        row = {c.name: rng.randint(1, c.top) for c in p.source.columns.values()}
        if p.target.root.rows and rng.random() < 0.8:
            found = rng.choice(p.target.root.rows)
            for tag in p.target.key_tags():
                if p.source.by_tag(tag):
                    if rng.random() < 0.6:
                        row[p.source.by_tag(tag).name] = found[p.target.by_tag(tag).name]
        if rng.random() < 0.5:
            row.update(dict(p.attributes))
        p.source.sample.append(row)


def wishes(p):
    """Values that let rows take part in this pair's statements."""
    def value(restriction):
        kind, v = restriction
        return v[0] if kind in ('list', 'range') else v if kind == 'const' else None
    target = {c: value(r) for c, r in p.outside.items()}
    target.update({c: number for c, (parent, number) in p.other.items()})
    source = {c: value(r) for c, r in p.inside.items()}
    source.update(dict(p.attributes))
    for table, wish in ((p.target, target), (p.source, source)):
        if table.values:
            wish.setdefault(table.partition_key[1], table.values[0])
    found = {}
    found.setdefault(p.target.root.name, []).append(target)
    found.setdefault(p.source.root.name, []).append(source)
    return found


def parent_for(schema, table, column, rng):
    """A parent to join the column to, its own if it has one."""
    for name, c in model.parents_of(table, column):
        if name in ('pa', 'pb'):
            return schema.tables[name]
    able = [schema.tables[n] for n in ('pa', 'pb')
            if comparable(schema.tables[n].columns['id'], table.columns[column])]
    return rng.choice(able) if able else None


def two(value, column, table):
    if len(table.values) == 2 and column.name == table.partition_key[1]:
        return table.values
    value = max(1, min(value, column.top - 1))
    return value, value + 1


def constraints(rng, schema, p, dropped):
    s, t = p.source, p.target
    for tc, sc in dropped:
        column = s.columns[sc]
        value = constant(s, column, rng)
        if t.values and tc == t.partition_key[1]:
            value = rng.choice(t.values)
        kind = rng.choice(['none'] * 8 + ['const'] * 5 + ['list', 'range']
                          + ['join'] * 3 + ['sub'])
        parent = parent_for(schema, s, sc, rng) if kind in ('join', 'sub') else None
        if kind in ('join', 'sub') and (
                parent is None or (s.values and sc == s.partition_key[1])):
            kind = 'const'
        if kind in ('join', 'sub'):
            p.inside[sc] = (kind, rng.choice([1, 2]))
            p.joins[sc] = parent
        elif kind in ('list', 'range'):
            p.inside[sc] = (kind, two(value, column, s))
        elif kind == 'const':
            p.inside[sc] = (kind, value)
        out = rng.choice(['none'] * 14 + ['same'] * 6
                         + ['const', 'list', 'range', 'neq', 'notnull', 'other'])
        if tc in t.pin or tc in t.checks:
            continue
        if out == 'same' and p.inside.get(sc, ('', 0))[0] in ('const', 'list', 'range'):
            p.outside[tc] = p.inside[sc]
        elif out == 'const':
            p.outside[tc] = ('const', constant(t, t.columns[tc], rng))
        elif out in ('list', 'range'):
            p.outside[tc] = (out, two(value, column, t))
        elif out in ('neq', 'notnull'):
            p.noise.append((tc, out, value))
        elif out == 'other':
            parent = parent_for(schema, t, tc, rng)
            if parent and (parent.name, 'id') in model.parents_of(t, tc):
                p.outside[tc] = ('other', parent.name)
                p.other[tc] = (parent, rng.choice([1, 2]))
    p.attributes.append(('a', rng.randint(1, 2)))
    if rng.random() < 0.2:
        p.attributes.append(('flag', 1))
    if rng.random() < 0.1 and all(
            s.columns[sc].type == t.columns[tc].type for tc, sc in p.whole):
        p.wrap = rng.choice(['cast', 'coalesce', 'plus'])


def choose_verb(rng, p):
    p.verb = rng.choice(['UPDATE', 'UPDATE', 'DELETE'])
    if p.form.startswith('merge'):
        p.verb = 'MERGE ' + p.verb
    elif p.form not in ('returning', 'lateral', 'recursive') and rng.random() < 0.04:
        p.verb = 'MERGE ' + p.verb
    elif rng.random() < 0.06:
        p.dml_cte = True
    if p.verb.startswith('MERGE') and p.target_name == p.target.view:
        p.target_name = p.target.name
    if p.form in ('from', 'merge', 'mergeand') and p.verb.endswith('UPDATE'):
        p.set_reads = rng.random() < 0.3


def shape(rng, schema, p, dropped):
    """What the form demands of the rest; False if it cannot be had."""
    s, single = p.source, len(p.part) == 1
    dropped_sources = [sc for tc, sc in dropped]
    if p.form in ('anyarray', 'arrayagg', 'unnestagg', 'max', 'maxcorr') and not single:
        return False
    if p.form in ('arrayagg', 'unnestagg', 'max', 'maxcorr', 'groupmax', 'having', 'window', 'distinct',
                  'diston', 'recursive', 'split', 'crossed') and p.wrap:
        p.wrap = None
    if p.form in ('max', 'maxcorr', 'groupmax') and s.columns[p.part[0][1]].type == 'uuid':
        return False
    if p.form == 'groupmax' and not single:
        return False
    if p.form == 'maxcorr' and len(p.whole) != len(p.part) + len(dropped):
        return False
    if p.form in ('lateral', 'transitive', 'nearly'):
        able = [sc for sc in dropped_sources if parent_for(schema, s, sc, rng)
                and not (s.values and sc == s.partition_key[1])]
        if not able:
            return False
        p.tag = rng.choice(able)
        p.joins.pop(p.tag, None)
        p.inside[p.tag] = ('join', rng.choice([1, 2]))
        p.joins[p.tag] = parent_for(schema, s, p.tag, rng)
    if p.form in ('window', 'diston', 'groupmax'):
        kind = {'window': 'part', 'diston': 'diston', 'groupmax': 'group'}[p.form]
        for sc in dropped_sources:
            if p.form == 'groupmax' or sc == dropped_sources[0]:
                p.marks[sc] = (kind, None)
        p.tag = dropped_sources[0]
    if p.form == 'returning':
        if s.root is p.target.root or p.values or p.source_name == s.view:
            return False
        if any(k in ('join', 'sub') for k, v in p.inside.values()):
            return False
    if p.form == 'recursive':
        if 'par' not in s.columns or not single:
            return False
        mine = s.columns[p.part[0][1]]
        if not comparable(mine, s.columns['par']) or mine.type != s.columns['par'].type:
            return False
    if p.form in ('split', 'crossed'):
        if p.inside or p.outside or len(p.whole) < 2 or p.values:
            return False
    if p.form == 'crossed':
        p.part = list(p.whole)
        a, b = rng.sample(range(len(p.whole)), 2)
        if not comparable(s.columns[p.whole[a][1]], s.columns[p.whole[b][1]]):
            return False
        if s.columns[p.whole[a][1]].type != s.columns[p.whole[b][1]].type:
            return False
        p.part[a] = (p.whole[a][0], p.whole[b][1])
        p.part[b] = (p.whole[b][0], p.whole[a][1])
        p.tag = (p.whole[a], p.whole[b])
    if p.form in ('union', 'except'):
        names = [n for n in ('t', 'n', 'x', 'q', 'c') if n in schema.tables]
        name = rng.choice(names)
        p.second = schema.tables[name]
        p.second_pairs = {}
        for tc, sc in p.whole:
            column = p.second.by_tag(p.target.columns[tc].tag)
            if column is None or column.type != s.columns[sc].type:
                return False
            p.second_pairs[tc] = column.name
        if any(p.second.by_tag(tag) and not s.by_tag(tag) for tag in p.target.key_tags()):
            return False
    if p.verb.startswith('MERGE') and not unique_source(p):
        if p.form in ('merge', 'mergeand'):
            return False
    return True


def unique_source(p):
    """No two source rows with one whole key: MERGE stops at these."""
    s = p.source
    if not s.lineage or s.heir or s.root.heir:
        return False
    mine = {sc for tc, sc in p.whole}
    return any(set(k) <= mine for k in s.keys())


def wrong(rng, schema, p):
    """The key of a parent compared with its own column, or with another."""
    t = p.target
    able = [(c, ref) for columns, ref, refs in t.foreign if len(columns) == 1
            and ref.name in ('pa', 'pb') for c in columns]
    able = [(c, ref) for c, ref in able if any(len(k) > 1 and c in k for k in t.keys())]
    if not able:
        return None
    column, p.source = rng.choice(able)
    p.source_name = p.source.name
    key = [k for k in t.keys() if len(k) > 1 and column in k][0]
    mistaken = [c for c in key if c != column
                and comparable(t.columns[c], t.columns[column])]
    if not mistaken:
        return None
    p.whole = [(column, 'id')]
    p.part = [(rng.choice(mistaken), 'id')]
    p.attributes = [('kind', rng.choice([1, 2]))]
    choose_verb(rng, p)
    p.expect = expectation(p, p.part)
    if expectation(p, p.whole)[0] != model.ACCEPT:
        return None
    return p


def expectation(p, pairs):
    """The model's verdict: the worst over the sources and arms."""
    whole = pairs is p.whole
    if p.form == 'crossed' and not whole:
        return crossed(p)
    if p.form == 'split' and not whole:
        rest = [c for c in p.whole if c not in p.part]
        first = model.judge(p.match(p.part))
        other = model.judge(p.match(rest))
        for one in (first, other):
            if one[0] == model.ACCEPT and one[1] in (1, 2, 3):
                return one
        if model.UNSURE in (first[0], other[0]):
            return model.UNSURE, 4
        return model.REJECT, 4
    inside = dict(p.inside)
    for sc, mark in p.marks.items():
        # a value it is pinned to says more
        if inside.get(sc, mark)[0] != 'const':
            inside[sc] = mark
    m = p.match(pairs, inside)
    if p.form == 'having':
        m.group = [sc for tc, sc in pairs]
    m.joined = dict(p.joins)
    verdict = model.judge(m)
    if p.form == 'recursive':
        # the second arm has none of the constraints
        verdict = model.worse(verdict, model.judge(p.match(pairs, {})))
    if p.form in ('union', 'except'):
        second = [(tc, p.second_pairs[tc]) for tc, sc in pairs]
        other = model.judge(p.match(second, {}, p.second))
        if p.form == 'except' and model.RANK[other[0]] > model.RANK[verdict[0]]:
            # no value of that arm comes out; is it an arm of the source?
            return model.UNSURE, other[1]
        verdict = model.worse(verdict, other)
    if verdict[0] == model.DOUBT and p.form == 'count':
        # a correlated aggregate is as good as a group, or is it?
        return model.UNSURE, verdict[1]
    if p.set_reads and any(kind == 'neq' and ('const', value) in p.inside.values()
                           for tc, kind, value in p.noise):
        # from one scope to all others: a copy, or is it?
        return model.UNSURE, verdict[1]
    if p.other and verdict[1] not in (1, 2, 3):
        for tc, (parent, kind) in p.other.items():
            rest = {c: r for c, r in p.outside.items() if c != tc}
            one = model.judge(model.Match(p.target, parent, {tc: 'id'}, rest, {}))
            if one[0] == model.ACCEPT and one[1] in (1, 2, 3):
                return model.ACCEPT, 5      # the other relation says which rows
            verdict = model.worse(verdict, one)
    return verdict


def crossed(p):
    t, s = p.target, p.source
    (ta, sa), (tb, sb) = p.tag
    if not model.family(t, s) and not {model.sibling(t, c, s)[1] for c in (ta, tb)} <= {
            'fk', 'parent'}:
        return model.UNSURE, 4
    a, b = model.parents_of(t, ta), model.parents_of(t, tb)
    if a & b:
        return model.UNSURE, 4
    if not a and not b:
        return model.DOUBT, 4
    if not any(model.column_is_fk(t, c, [c]) for c in (ta, tb)):
        return model.UNSURE, 4      # has a part of a foreign key one?
    return model.REJECT, 4
