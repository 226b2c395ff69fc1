"""Fills the tables of a schema with rows whose numbers collide."""

from schema import literal


def fill(schema, rng, dense, wishes=None):
    """New rows everywhere, more or less dense.  Wishes are values that many
    rows of a table shall have: {table name: [{column: value}]}."""
    for table in schema.order():
        table.rows = []
        if table.name in ('pa', 'pb'):
            for i in (1, 2, 3):
                table.rows.append({'id': i, 'kind': rng.choice([1, 2]) if i > 2 else i,
                                   'name': rng.choice([1, 2])})
        else:
            fill_table(table, rng, dense, (wishes or {}).get(table.name))


def draw(table, rng, wish):
    """One row's values without those that are unique, or None."""
    row = {}
    for columns, ref, refs in sorted(table.foreign, key=lambda f: -len(f[0])):
        if any(c in row for c in columns):
            continue
        # rows that a foreign key can reference
        rows = [r for r in ref.rows if not r.get('heir')]
        if not rows:
            return None
        wished = [r for r in rows if all(
            c not in wish or r[rc] == wish[c] for c, rc in zip(columns, refs))]
        found = rng.choice(wished or rows)
        for c, rc in zip(columns, refs):
            row[c] = found[rc]
    for c in table.columns.values():
        if c.name in row or c.formula:
            continue
        if c.name in table.checks:
            row[c.name] = table.checks[c.name]
        else:
            row[c.name] = wish.get(c.name) or rng.randint(1, c.top)
    for name, value in table.checks.items():
        row[name] = value
    for c in table.columns.values():
        if c.formula:
            row[c.name] = row[c.formula[0]] % c.formula[1]
    return row


def fill_table(table, rng, dense, wishes):
    # at most so many as there are different keys, with some luck
    wanted = rng.randint(14, 22) if dense else rng.randint(6, 16)
    seen = {key: set() for key in table.keys()}
    heirs = {key: set() for key in table.keys()}
    numbers = list(range(1, wanted + 1))
    rng.shuffle(numbers)
    for attempt in range(wanted * 6):
        if len(table.rows) >= wanted:
            break
        row = draw(table, rng, rng.choice(wishes) if wishes and rng.random() < 0.7 else {})
        if row is None:
            return
        for name in sorted(table.unique_values):
            row[name] = numbers[len(table.rows)]
        if table.heir and rng.random() < 0.3:
            row['heir'] = True
        mine = heirs if row.get('heir') else seen
        clash = False
        for key in mine:
            if tuple(row[c] for c in key) in mine[key]:
                clash = True
        if clash:
            continue
        for key in mine:
            mine[key].add(tuple(row[c] for c in key))
        row['rid'] = len(table.rows) + 1
        row['mark'] = 0
        table.rows.append(row)


def script(schema):
    """SQL that replaces what the tables hold."""
    out = []
    for table in schema.order():
        out.append('DELETE FROM %s;' % table.name)
    for table in schema.order():
        out += table.insert()
    return out


def constant(table, column, rng):
    """A value that occurs, most of the time."""
    if column.name in table.checks:
        return table.checks[column.name]
    if table.values and column.name == table.partition_key[1]:
        return rng.choice(table.values)
    if column.name in table.unique_values:
        return rng.randint(1, 6)
    return rng.randint(1, column.top)


__all__ = ['fill', 'script', 'constant', 'literal']
