"""Puts a Pair into SQL, with the whole key or with the fragment."""

from schema import literal, text_of


class Words:
    """One statement.  lit(type, n) writes a constant: a literal, or a
    parameter when the statement is prepared with some."""

    def __init__(self, pair, whole, lit=literal):
        self.p, self.whole, self.lit = pair, whole, lit
        self.cols = pair.whole if whole else pair.part
        self.ctes, self.items, self.conds = [], [], []
        self.recursive = False
        self.when = ''

    # conditions

    def restriction(self, expr, column, kind, value):
        def one(n):
            return self.lit(column.type, n)
        if kind == 'const':
            return '%s = %s' % (expr, one(value))
        if kind == 'list':
            return '%s IN (%s)' % (expr, ', '.join(one(n) for n in value))
        if kind == 'range':
            return '%s BETWEEN %s AND %s' % (expr, one(value[0]), one(value[1]))
        if kind == 'neq':
            return '%s <> %s' % (expr, one(value))
        if kind == 'notnull':
            return '%s IS NOT NULL' % expr
        raise ValueError(kind)

    def wrapped(self, expr, column):
        wrap = self.p.wrap
        if wrap == 'cast':
            return '%s::text' % expr
        if wrap == 'coalesce':
            return 'COALESCE(%s, %s)' % (expr, literal(column.type, 9))
        if wrap == 'plus' and column.type in ('int', 'bigint'):
            return '%s + 0' % expr
        return expr

    def tc(self, name):
        return self.wrapped('t.' + name, self.p.target.columns[name])

    def sc(self, name, alias='p'):
        return self.wrapped('%s.%s' % (alias, name), self.p.source.columns[name])

    def targets(self):
        return [self.tc(t) for t, s in self.cols]

    def sources(self, alias='p'):
        return [self.sc(s, alias) for t, s in self.cols]

    def relation(self, alias='p'):
        p = self.p
        if not p.values:
            return '%s %s' % (p.source_name, alias)
        columns = list(p.source.columns.values())
        rows = p.source.sample
        names = ', '.join(c.name for c in columns)
        if p.values == 'values':
            return '(VALUES %s) AS %s(%s)' % (', '.join(
                '(%s)' % ', '.join('%s::%s' % (literal(c.type, r[c.name]), c.type)
                                   for c in columns) for r in rows), alias, names)
        if p.values == 'unnest':
            return 'unnest(%s) AS %s(%s)' % (', '.join(
                'ARRAY[%s]::%s[]' % (', '.join(literal(c.type, r[c.name]) for r in rows),
                                     c.type) for c in columns), alias, names)
        objects = ', '.join('{%s}' % ', '.join('"%s": "%s"' % (c.name, text_of(c.type, r[c.name]))
                                               for c in columns) for r in rows)
        return "jsonb_to_recordset('[%s]') AS %s(%s)" % (objects, alias, ', '.join(
            '%s %s' % (c.name, c.type) for c in columns))

    def inner(self, alias='p', skip=()):
        """FROM text and conditions of the source with its constraints."""
        p, joins, conds = self.p, '', []
        for sc in p.inside:
            kind, value = p.inside[sc]
            expr = '%s.%s' % (alias, sc)
            if sc in skip or kind in ('part', 'diston', 'group'):
                continue
            if kind == 'join':
                j = 'j_%s' % sc
                joins += ' JOIN %s %s ON %s.id = %s' % (p.joins[sc].name, j, j, expr)
                conds.append('%s.kind = %s' % (j, self.lit('int', value)))
            elif kind == 'sub':
                conds.append('%s IN (SELECT o.id FROM %s o WHERE o.kind = %s)' % (
                    expr, p.joins[sc].name, self.lit('int', value)))
            else:
                conds.append(self.restriction(expr, p.source.columns[sc], kind, value))
        for name, value in p.attributes:
            column = p.source.columns[name]
            conds.append('%s.%s' % (alias, name) if column.type == 'boolean' else
                         '%s.%s = %s' % (alias, name, self.lit(column.type, value)))
        return self.relation(alias) + joins, conds

    def select(self, columns, extra=(), tail='', skip=(), distinct=''):
        source, conds = self.inner(skip=skip)
        conds = conds + list(extra)
        return 'SELECT %s%s FROM %s%s%s' % (
            distinct, ', '.join(columns), source,
            ' WHERE ' + ' AND '.join(conds) if conds else '', tail)

    def row(self, exprs):
        return exprs[0] if len(exprs) == 1 else '(%s)' % ', '.join(exprs)

    def compare(self, subquery, operator='IN'):
        self.conds.append('%s %s (%s)' % (self.row(self.targets()), operator, subquery))

    def ties(self, alias='p'):
        return ['%s = %s' % (self.tc(t), self.sc(s, alias)) for t, s in self.cols]

    # the forms

    def write(self):
        p = self.p
        getattr(self, 'form_' + p.form)()
        outside = []
        for tc, (kind, value) in p.outside.items():
            if kind == 'other':
                parent, number = p.other[tc]
                outside.append('t.%s IN (SELECT o.id FROM %s o WHERE o.kind = %s)' % (
                    tc, parent.name, self.lit('int', number)))
            else:
                outside.append(self.restriction('t.' + tc, p.target.columns[tc], kind, value))
        for tc, kind, value in p.noise:
            outside.append(self.restriction('t.' + tc, p.target.columns[tc], kind, value))
        self.conds = outside + self.conds
        return self.statement()

    def statement(self):
        p = self.p
        with_text = ''
        action = 'mark = 1'
        if p.set_reads:
            action += ', a = p.a'
        if p.verb.startswith('MERGE'):
            items = self.items or ['(VALUES (1)) one(n)']
            join = ' CROSS JOIN '.join(items)
            conds = self.conds if self.items else ['one.n = 1'] + self.conds
            body = 'MERGE INTO %s t USING %s ON %s WHEN MATCHED%s THEN %s' % (
                p.target_name, join, ' AND '.join(conds) or 'true', self.when,
                'UPDATE SET ' + action if p.verb.endswith('UPDATE') else 'DELETE')
        elif p.verb == 'UPDATE':
            body = 'UPDATE %s t SET %s%s WHERE %s' % (
                p.target_name, action,
                ' FROM ' + ', '.join(self.items) if self.items else '',
                ' AND '.join(self.conds))
        else:
            body = 'DELETE FROM %s t%s WHERE %s' % (
                p.target_name, ' USING ' + ', '.join(self.items) if self.items else '',
                ' AND '.join(self.conds))
        ctes = list(self.ctes)
        if p.dml_cte:
            ctes.append('z AS (%s RETURNING t.rid)' % body)
            body = 'SELECT count(*) FROM z'
        if ctes:
            with_text = 'WITH %s%s ' % ('RECURSIVE ' if self.recursive else '', ', '.join(ctes))
        return with_text + body

    def form_in(self):
        self.compare(self.select(self.sources()))

    form_wrong = form_in

    def form_any(self):
        self.compare(self.select(self.sources()), '= ANY')

    def form_some(self):
        self.compare(self.select(self.sources()), '= SOME')

    def form_anyarray(self):
        if len(self.cols) > 1:
            return self.form_in()
        self.conds.append('%s = ANY (ARRAY(%s))' % (
            self.targets()[0], self.select(self.sources())))

    def form_arrayagg(self):
        if len(self.cols) > 1:
            return self.form_in()
        column = self.p.source.columns[self.cols[0][1]]
        typ = 'text' if self.p.wrap == 'cast' else column.type
        self.conds.append('%s = ANY ((%s)::%s[])' % (self.targets()[0], self.select(
            ['array_agg(%s)' % self.sources()[0]]), typ))

    def form_unnestagg(self):
        if len(self.cols) > 1:
            return self.form_in()
        self.compare(self.select(['unnest(array_agg(%s))' % self.sources()[0]]))

    def form_exists(self):
        self.conds.append('EXISTS (%s)' % self.select(['1'], self.ties()))

    def form_count(self):
        self.conds.append('0 < (%s)' % self.select(['count(*)'], self.ties()))

    def form_notin(self):
        self.compare(self.select(self.sources()), 'NOT IN')

    def form_notall(self):
        self.compare(self.select(self.sources()), '<> ALL')

    def form_notexists(self):
        self.conds.append('NOT EXISTS (%s)' % self.select(['1'], self.ties()))

    def form_limit1(self):
        self.compare(self.select(self.sources(), tail=' ORDER BY p.rid LIMIT 1'), '=')

    def form_max(self):
        first = self.p.part[0]
        if self.whole:
            return self.compare(self.select(
                self.sources(), tail=' ORDER BY p.%s DESC LIMIT 1' % first[1]), '=')
        self.conds.append('%s = (%s)' % (self.tc(first[0]), self.select(
            ['max(%s)' % self.sc(first[1])])))

    def form_maxcorr(self):
        """The largest of its kind, or of all."""
        first, more = self.p.part[0], []
        if self.whole:
            more = ['t.%s = p.%s' % c for c in self.p.whole if c != first]
        self.conds.append('%s = (%s)' % (self.tc(first[0]), self.select(
            ['max(%s)' % self.sc(first[1])], more)))

    def named(self):
        return ['%s AS %s' % (self.sc(s), 'o%d' % i) for i, (t, s) in enumerate(self.cols)]

    def outputs(self, alias=''):
        return ['%so%d' % (alias, i) for i in range(len(self.cols))]

    def form_cte(self):
        self.ctes.append('y AS MATERIALIZED (%s)' % self.select(self.named()))
        self.compare('SELECT %s FROM y' % ', '.join(self.outputs()))

    def form_cte2(self):
        source, conds = self.inner()
        self.ctes.append('x AS (SELECT p.* FROM %s%s)' % (
            source, ' WHERE ' + ' AND '.join(conds) if conds else ''))
        self.ctes.append('y AS (SELECT %s FROM x p)' % ', '.join(self.named()))
        self.compare('SELECT %s FROM y' % ', '.join(self.outputs()))

    def form_nested(self):
        self.compare('SELECT %s FROM (%s) q' % (
            ', '.join(self.outputs('q.')), self.select(self.named())))

    def form_recursive(self):
        self.recursive = True
        p = self.p
        step = p.part[0][1]
        first = [i for i, c in enumerate(self.cols) if c == p.part[0]][0]
        conds = ['p.par = r.o%d' % first] + [
            'p.%s = r.o%d' % (s, i) for i, (t, s) in enumerate(self.cols) if s != step]
        self.ctes.append('r AS (%s UNION SELECT %s FROM %s, r WHERE %s)' % (
            self.select(self.named()), ', '.join(self.sources()),
            self.relation(), ' AND '.join(conds)))
        self.compare('SELECT %s FROM r' % ', '.join(self.outputs()))

    def form_union(self, operator='UNION'):
        p = self.p
        second = ['u.' + p.second_pairs[t] for t, s in self.cols]
        if p.wrap == 'cast':
            second = [s + '::text' for s in second]
        self.compare('%s %s SELECT %s FROM %s u WHERE u.a = 3%s' % (
            self.select(self.sources()), operator, ', '.join(second), p.second.name,
            ' AND u.rid < 3' if operator == 'EXCEPT' else ''))

    def form_except(self):
        self.form_union('EXCEPT')

    def form_distinct(self):
        self.compare(self.select(self.sources(), distinct='DISTINCT '))

    def form_diston(self):
        tag = 'p.' + self.p.tag
        self.compare(self.select(self.sources(), distinct='DISTINCT ON (%s, p.a) ' % tag,
                                 tail=' ORDER BY %s, p.a, p.rid' % tag))

    def form_window(self):
        rank = 'row_number() OVER (PARTITION BY p.%s, p.a ORDER BY p.rid) AS rn' % self.p.tag
        self.compare('SELECT %s FROM (%s) q WHERE q.rn > 1' % (
            ', '.join(self.outputs('q.')), self.select(self.named() + [rank])))

    def form_having(self):
        self.compare(self.select(self.sources(), tail=' GROUP BY %s HAVING count(*) > 0'
                                 % ', '.join(self.sources())))

    def form_groupmax(self):
        first = self.p.part[0]
        group = ', '.join('p.' + s for t, s in self.p.whole if (t, s) != first)
        exprs = ['max(p.%s)' % s if (t, s) == first else 'p.' + s for t, s in self.cols]
        self.compare(self.select(exprs, tail=' GROUP BY ' + group))

    def through_parent(self):
        """The source joined to a parent that can tie it to the target."""
        p = self.p
        rest = [(t, s) for t, s in self.cols if s != p.tag]
        ties = ['%s = %s' % (self.tc(t), self.sc(s)) for t, s in rest]
        if self.whole:
            ties += ['j_%s.id = t.%s' % (p.tag, t) for t, s in self.cols if s == p.tag]
        return ties

    def form_transitive(self):
        self.conds.append('EXISTS (%s)' % self.select(['1'], self.through_parent()))

    def form_nearly(self):
        p = self.p
        parent, kind = p.joins[p.tag].name, self.lit('int', p.inside[p.tag][1])
        inner = self.select(['1'], ['p.%s = j_%s.id' % (p.tag, p.tag)]
                            + self.through_parent(), skip=(p.tag,))
        self.conds.append('EXISTS (SELECT 1 FROM %s j_%s WHERE j_%s.kind = %s AND EXISTS (%s))' % (
            parent, p.tag, p.tag, kind, inner))

    def form_split(self):
        if self.whole:
            return self.form_in()
        rest = [c for c in self.p.whole if c not in self.p.part]
        for cols in (self.p.part, rest):
            self.cols = cols
            self.compare(self.select(self.sources()))

    def form_crossed(self):
        self.form_in()

    def form_or(self):
        self.form_in()
        p = self.p
        # an arm that pins a whole key, or compares it with another row
        keys = p.target.keys()
        key = max(keys, key=len) if keys else None
        if key:
            self.conds.append(' AND '.join('t.%s = %s' % (c, self.lit(
                p.target.columns[c].type, 1)) for c in key))
            self.conds = ['((%s) OR (%s))' % tuple(self.conds)]

    def form_from(self):
        source, conds = self.inner()
        self.items.append(source)
        self.conds += self.ties() + conds

    def form_fromsub(self):
        self.items.append('(%s) q' % self.select(self.named()))
        self.conds += ['%s = %s' % pair for pair in zip(self.targets(), self.outputs('q.'))]

    def form_ctejoin(self):
        self.ctes.append('y AS (%s)' % self.select(self.named()))
        self.items.append('y')
        self.conds += ['%s = %s' % pair for pair in zip(self.targets(), self.outputs('y.'))]

    def form_lateral(self):
        p = self.p
        rest = [(t, s) for t, s in self.cols if s != p.tag]
        kind = self.lit('int', p.inside[p.tag][1])
        columns = ['%s AS o%d' % (self.sc(s), i) for i, (t, s) in enumerate(rest)]
        inner = self.select(columns, ['p.%s = j.id' % p.tag], ' ORDER BY p.rid LIMIT 2',
                            skip=(p.tag,))
        self.items += ['%s j' % p.joins[p.tag].name, 'LATERAL (%s) q' % inner]
        self.conds.append('j.kind = %s' % kind)
        self.conds += ['%s = q.o%d' % (self.tc(t), i) for i, (t, s) in enumerate(rest)]
        if self.whole:
            self.conds += ['t.%s = j.id' % t for t, s in self.cols if s == p.tag]

    form_merge = form_from

    def form_mergesub(self):
        self.items.append('(%s) q' % self.select(self.named(), distinct='DISTINCT '))
        self.conds += ['%s = %s' % pair for pair in zip(self.targets(), self.outputs('q.'))]

    def form_mergeand(self):
        """ON has the fragment; the AND of the action completes the key."""
        source, conds = self.inner()
        self.items.append(source)
        ties = ['%s = %s' % (self.tc(t), self.sc(s)) for t, s in self.p.part]
        self.conds += ties + conds
        rest = [(t, s) for t, s in self.cols if (t, s) not in self.p.part]
        if rest:
            self.when = ' AND ' + ' AND '.join(
                '%s = %s' % (self.tc(t), self.sc(s)) for t, s in rest)

    def form_returning(self):
        p = self.p
        source, conds = self.inner()
        self.ctes.append('d AS (DELETE FROM %s%s RETURNING %s)' % (
            source, ' WHERE ' + ' AND '.join(conds) if conds else '', ', '.join(self.named())))
        self.items.append('d')
        self.conds += ['%s = %s' % pair for pair in zip(self.targets(), self.outputs('d.'))]
