"""Random schemas whose facts the generator knows, and rows made to collide.

A column carries a tag: columns of different tables with the same tag hold the
same thing, whether or not the catalogs say so.
"""

PARENT_TYPES = ['int', 'int', 'int', 'bigint', 'text', 'uuid']
LOCAL_TYPES = ['int', 'int', 'int', 'bigint', 'text', 'smallint']


def text_of(typ, n):
    """The n-th value of a type, as psql prints it or nearly so."""
    if typ == 'boolean':
        return 'true' if n == 1 else 'false'
    if typ == 'text':
        return 'k%d' % n
    if typ == 'uuid':
        return '00000000-0000-0000-0000-%012d' % n
    if typ in ('date', 'timestamptz'):
        return '2026-01-%02d' % (n % 28 + 1)
    return str(n)


def literal(typ, n):
    text = text_of(typ, n)
    if typ in ('text', 'uuid'):
        return "'%s'" % text
    if typ in ('date', 'timestamptz'):
        return "%s '%s'" % (typ, text)
    return text


class Column:
    def __init__(self, name, typ, tag, role='attr', top=3):
        self.name, self.type, self.tag = name, typ, tag
        self.role = role        # fk local gen uuid time formula attr
        self.top = top          # values are 1..top
        self.generator = None   # identity always default serial uuid owned
        self.formula = None     # (input column, modulus)

    def ddl(self, table):
        text = '%s %s' % (self.name, self.type)
        if self.generator in ('always', 'default'):
            text += ' GENERATED %s AS IDENTITY' % (
                'ALWAYS' if self.generator == 'always' else 'BY DEFAULT')
        elif self.generator in ('serial', 'owned'):
            text = '%s %s' % (self.name,
                              'bigserial' if self.type == 'bigint' else 'serial')
        elif self.generator == 'uuid':
            text += ' DEFAULT gen_random_uuid()'
        if self.formula:
            text += ' GENERATED ALWAYS AS (%s %% %d) STORED' % self.formula
        if self.name in table.checks:
            text += ' CHECK (%s = %s)' % (
                self.name, literal(self.type, table.checks[self.name]))
        return text


class Table:
    def __init__(self, name):
        self.name = name
        self.columns = {}
        self.primary = None         # columns of the primary key
        self.uniques = []           # other unique keys
        self.not_null = True
        self.foreign = []           # (columns, table, referenced columns)
        self.partition = None       # (method, column)
        self.leaves = []            # (name, bound text)
        self.values = ()            # of the partition key, in this leaf
        self.heir = None            # an inheritance child's name
        self.root = self            # of a partition tree
        self.pin = {}               # bounds: column -> the one value
        self.checks = {}
        self.lineage = True         # a base table
        self.temp = False
        self.view = None
        self.rows = []
        self.unique_values = set()  # columns whose values never repeat
        self.text = None            # FROM text, if it is no relation

    def add(self, column):
        self.columns[column.name] = column
        return column

    def keys(self):
        """All unique keys, whatever their width."""
        return ([self.primary] if self.primary else []) + self.uniques

    def by_tag(self, tag):
        for column in self.columns.values():
            if column.tag == tag:
                return column
        return None

    def key_tags(self):
        """Tags of the columns that a whole key or foreign key needs."""
        wide = [k for k in self.keys() if len(k) > 1]
        if not wide:
            wide = [f[0] for f in self.foreign if len(f[0]) > 1]
        return [self.columns[c].tag for c in wide[0]] if wide else []

    def leaf(self, name, pin, values=()):
        """A leaf as a target or source of its own."""
        leaf = Table(name)
        leaf.__dict__.update(self.__dict__)
        leaf.name, leaf.root, leaf.pin = name, self.root, pin
        leaf.partition, leaf.leaves, leaf.view = None, [], None
        leaf.partition_key, leaf.values = self.partition, values
        return leaf

    def ddl(self):
        parts = [c.ddl(self) for c in self.columns.values()]
        if self.primary:
            parts.append('PRIMARY KEY (%s)' % ', '.join(self.primary))
        for key in self.uniques:
            parts.append('UNIQUE (%s)' % ', '.join(key))
        for columns, table, refs in self.foreign:
            parts.append('FOREIGN KEY (%s) REFERENCES %s (%s)' % (
                ', '.join(columns), table.name, ', '.join(refs)))
        out = ['CREATE %sTABLE %s (\n    %s)%s;' % (
            'TEMP ' if self.temp else '', self.name, ',\n    '.join(parts),
            '\n    PARTITION BY %s (%s)' % (self.partition[0].upper(), self.partition[1])
            if self.partition else '')]
        for name, bound in self.leaves:
            out.append('CREATE TABLE %s PARTITION OF %s %s;' % (name, self.name, bound))
        if self.heir:
            out.append('CREATE TABLE %s (extra text, PRIMARY KEY (%s)) INHERITS (%s);' % (
                self.heir, ', '.join(self.primary), self.name))
        for c in self.columns.values():
            if c.generator == 'owned':
                out.append('ALTER TABLE %s ALTER %s DROP DEFAULT;' % (self.name, c.name))
        if self.view:
            out.append('CREATE VIEW %s AS SELECT * FROM %s;' % (self.view, self.name))
        return out

    def insert(self):
        names = [c.name for c in self.columns.values() if not c.formula]
        out = []
        for relation in [self.name] + ([self.heir] if self.heir else []):
            rows = [r for r in self.rows if bool(r.get('heir')) == (relation == self.heir)]
            if not rows:
                continue
            overriding = any(c.generator == 'always' for c in self.columns.values())
            out.append('INSERT INTO %s (%s)%s VALUES %s;' % (
                relation, ', '.join(names),
                ' OVERRIDING SYSTEM VALUE' if overriding else '',
                ', '.join('(%s)' % ', '.join(
                    literal(self.columns[n].type, row[n]) for n in names)
                    for row in rows)))
        return out


class Schema:
    """parents pa, pb; q, which a target may reference; t; c, which references
    t; n, like t but not connected with it; x, temporary."""

    def __init__(self, rng, number):
        self.rng, self.number = rng, number
        self.tables = {}
        self.shape = None
        self.parents()
        self.target()
        if not self.t.heir:
            self.child()
        self.lookalike('n', rng.choice(['key', 'key', 'keyless', 'wide']))
        self.lookalike('x', 'keyless')
        x = self.tables['x']
        x.temp, x.lineage, x.foreign = True, False, []
        for name in ('t', 'c', 'q', 'n'):
            if name in self.tables and rng.random() < 0.5:
                self.tables[name].view = 'v_' + name
        for table in self.tables.values():
            if table.name[0] in 'qtcnx':
                self.finish(table)

    def table(self, name):
        self.tables[name] = Table(name)
        return self.tables[name]

    def parents(self):
        for name in ('pa', 'pb'):
            p = self.table(name)
            p.add(Column('id', self.rng.choice(PARENT_TYPES), name))
            p.add(Column('kind', 'int', name + '.kind', 'attr', 2))
            p.add(Column('name', 'text', name + '.name', 'attr', 2))
            p.primary = ('id',)

    def fk(self, table, name, tag, parent):
        p = self.tables[parent]
        column = table.add(Column(name, p.columns['id'].type, tag, 'fk', 3))
        table.foreign.append(((name,), p, ('id',)))
        return column

    def local(self, table, name, tag):
        return table.add(Column(name, self.rng.choice(LOCAL_TYPES), tag, 'local',
                                self.rng.choice([3, 3, 4, 6])))

    def time(self, table, name, tag):
        return table.add(Column(name, self.rng.choice(['timestamptz', 'date']),
                                tag, 'time', 3))

    def target(self):
        rng, t = self.rng, Table('t')
        self.t = t
        shape = self.shape = rng.choice([
            'fk local', 'fk local', 'fk local', 'fk local', 'fk fk', 'local local',
            'local local', 'edge', 'fk gen', 'local gen', 'fk uuid', 'fk time',
            'local time', 'cfk local', 'cfk local', 'cfk local', 'cfk time', 'cfk only',
            'cfk alarm', 'fk local local', 'local local local', 'fk fk local',
            'fk local time', 'local formula', 'fk unique', 'check local'])
        words = shape.split()
        names = ['id', 'no', 'code', 'line']
        rng.shuffle(names)
        scopes = ['org', 'sys', 'shop']
        rng.shuffle(scopes)
        key, parent = [], ['pa', 'pb']
        for i, word in enumerate(words):
            tag = 'k%d' % i
            if word == 'fk':
                key.append(self.fk(t, scopes.pop(), tag, parent.pop(0)))
            elif word in ('local', 'unique'):
                key.append(self.local(t, names.pop(), tag))
                if word == 'unique':
                    t.uniques.append((key[-1].name,))
                    t.unique_values.add(key[-1].name)
            elif word == 'time':
                key.append(self.time(t, 'ts', tag))
            elif word == 'edge':
                key += [self.fk(t, 'src', 'k0', 'pa'), self.fk(t, 'dst', 'k1', 'pa')]
            elif word == 'gen':
                c = t.add(Column(names.pop(), rng.choice(['int', 'bigint']), tag, 'gen'))
                c.generator = rng.choice(['always', 'default', 'serial', 'owned'])
                t.unique_values.add(c.name)
                key.append(c)
            elif word == 'uuid':
                c = t.add(Column(names.pop(), 'uuid', tag, 'uuid', 4))
                if rng.random() < 0.6:
                    c.generator, c.role = 'uuid', 'gen'
                    t.unique_values.add(c.name)
                key.append(c)
            elif word == 'formula':
                c = t.add(Column('bucket', 'int', tag, 'formula', 3))
                key[0].type, key[0].top = 'int', 6
                c.formula = (key[0].name, 2)
                key.append(c)
            elif word == 'check':
                c = self.fk(t, scopes.pop(), tag, 'pa')
                t.checks[c.name] = 2
                key.append(c)
            elif word == 'cfk':
                key += self.reference(t, scopes.pop(), names.pop())
        surrogate = shape.endswith('alarm') or rng.random() < 0.15
        rng.shuffle(key)
        for c in key:
            if len(key) > 2 and c.role == 'local':
                c.top = 3
        columns = tuple(c.name for c in key)
        if surrogate:
            c = t.add(Column('row_no', 'bigint', 'row_no', 'gen'))
            c.generator = 'always'
            t.unique_values.add('row_no')
            t.primary = ('row_no',)
            if not shape.endswith('alarm'):
                t.uniques.append(columns)
        elif rng.random() < 0.15:
            t.uniques.append(columns)
        else:
            t.primary = columns
        if rng.random() < 0.1 and shape == 'fk local':
            t.add(Column('label', 'text', 'label', 'local', 4))
            t.uniques.append((columns[0], 'label') if key[0].role == 'fk'
                             else (columns[1], 'label'))
        if (t.primary == columns and not t.uniques and not t.checks
                and not any(c.formula for c in key)):
            self.divide(t, key)
        self.tables['t'] = t

    def reference(self, t, scope, number):
        """q, with a key of two columns, and the foreign key to it."""
        rng, q = self.rng, self.table('q')
        if rng.random() < 0.6:
            a = self.fk(q, rng.choice([scope, 'scope']), 'k0', 'pa')
        else:
            a = q.add(Column(rng.choice([scope, 'scope']), rng.choice(LOCAL_TYPES),
                             'k0', 'local', 3))
        b = self.local(q, rng.choice([number, 'number']), 'k0b')
        q.primary = (a.name, b.name)
        columns = [t.add(Column(scope, a.type, 'k0', 'fk', a.top)),
                   t.add(Column(number, b.type, 'k0b', 'fk', b.top))]
        t.foreign.append(((scope, number), q, (a.name, b.name)))
        if rng.random() < 0.15 and a.role == 'fk':
            t.foreign.append(((scope,), self.tables['pa'], ('id',)))
        return columns

    def divide(self, t, key):
        """Partitions or children."""
        rng = self.rng
        able = [c for c in key if c.role in ('fk', 'local', 'time')]
        if rng.random() < 0.1 and not any(c.generator for c in key):
            t.heir = 't_heir'
            return
        if not able or rng.random() > (0.6 if any(c.role == 'time' for c in key) else 0.25):
            return
        times = [c for c in able if c.role == 'time']
        c = times[0] if times else rng.choice(able)
        method = 'range' if times else rng.choice(['list', 'list', 'hash', 'range'])
        t.partition = (method, c.name)
        if method == 'list':
            t.leaves = [('t_1', 'FOR VALUES IN (%s)' % literal(c.type, 1)),
                        ('t_2', 'FOR VALUES IN (%s, %s)' % (literal(c.type, 2),
                                                            literal(c.type, 3))),
                        ('t_rest', 'DEFAULT')]
        elif method == 'hash':
            t.leaves = [('t_%d' % i, 'FOR VALUES WITH (MODULUS 2, REMAINDER %d)' % i)
                        for i in (0, 1)]
        else:
            t.leaves = [('t_low', 'FOR VALUES FROM (MINVALUE) TO (%s)'
                         % literal(c.type, 3).replace(c.type + ' ', '')),
                        ('t_high', 'FOR VALUES FROM (%s) TO (MAXVALUE)'
                         % literal(c.type, 3).replace(c.type + ' ', ''))]

    def child(self):
        rng, t = self.rng, self.t
        wide = [k for k in t.keys() if len(k) > 1]
        if not wide or any(c.formula for c in t.columns.values()):
            return
        c, prefix = self.table('c'), rng.choice(['', 't_'])
        names = []
        for name in wide[0]:
            column = t.columns[name]
            names.append(prefix + name)
            c.add(Column(prefix + name, column.type, column.tag, 'fk', column.top))
        c.foreign.append((tuple(names), t, wide[0]))
        order = list(names)
        if rng.random() < 0.7:
            c.add(Column('part', 'int', 'part', 'local', 3))
            order.append('part')
            rng.shuffle(order)
        c.primary = tuple(order)

    def lookalike(self, name, kind):
        rng, t, n = self.rng, self.t, self.table(name)
        rename = {}
        for tag in t.key_tags():
            column = t.by_tag(tag)
            single = [f for f in t.foreign if f[0] == (column.name,)]
            new = column.name
            if single and name == 'n' and rng.random() < 0.6:
                new = rng.choice([column.name, 'ref_' + column.name])
                n.foreign.append(((new,), single[0][1], ('id',)))
            rename[column.name] = new
            n.add(Column(new, column.type, tag, 'local', column.top))
        for columns, table, refs in t.foreign:
            if len(columns) > 1 and name == 'n' and rng.random() < 0.5:
                n.foreign.append((tuple(rename[c] for c in columns), table, refs))
        names = list(rename.values())
        if kind == 'wide':
            n.add(Column('part', 'int', 'part', 'local', 3))
            n.primary = tuple(names + ['part'])
        elif kind == 'key':
            n.primary = tuple(names)

    def finish(self, table):
        table.add(Column('a', 'int', 'a', 'attr', 3))
        table.add(Column('flag', 'boolean', 'flag', 'flag', 2))
        par = table.by_tag('k1') or table.by_tag('k0b')
        if par and par.role not in ('time', 'uuid', 'gen'):
            table.add(Column('par', par.type, 'par', 'attr', par.top))
        table.add(Column('rid', 'int', 'rid', 'rid'))
        table.add(Column('mark', 'int', 'mark', 'mark'))

    def order(self):
        return [self.tables[n] for n in ('pa', 'pb', 'q', 't', 'c', 'n', 'x')
                if n in self.tables]

    def ddl(self):
        out = []
        for table in self.order():
            out += table.ddl()
        return out
