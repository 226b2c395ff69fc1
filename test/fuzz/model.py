"""A second reading of the rule, over facts the generator knows.

Written from the decision procedure alone.  It judges one Match, the logical
content of a statement, and says (verdict, step).  Where the procedure is open,
it answers UNSURE: then only the execution speaks.
"""

ACCEPT, DOUBT, REJECT, UNSURE = 'accept', 'doubt', 'reject', 'unsure'
RANK = {ACCEPT: 0, DOUBT: 1, REJECT: 2, UNSURE: 3}


class Match:
    """Target columns equated with the columns of one source row."""

    def __init__(self, target, source, pairs, outside, inside):
        self.t, self.s = target, source
        self.pairs = dict(pairs)        # target column -> source column
        self.outside = dict(outside)    # target column -> restriction
        self.inside = dict(inside)      # source column -> constraint
        self.set_reads = False          # SET reads the source row
        self.group = None               # source columns of GROUP BY with HAVING
        self.crossed = False            # a row comparison in the wrong order
        self.split = False              # two INs split the rows of a relation
        self.joined = {}                # source column -> relation joined by it


# A restriction or constraint is (kind, value): const, list, range, other (an
# IN from another relation); inside also join, sub, group, part, diston.


def family(a, b):
    return a.root is b.root


def foreign_of(table):
    return table.foreign


def column_is_fk(table, column, within):
    """The column belongs to a foreign key wholly within these columns, or a
    composite one maps it to such a column."""
    for columns, ref, refs in foreign_of(table):
        if column not in columns:
            continue
        if set(columns) <= set(within):
            return True
        if len(columns) > 1:
            mapped = dict(zip(columns, refs))
            if column_is_fk(ref, mapped[column],
                            [mapped[c] for c in columns if c in within]):
                return True
    return False


def is_fk(table, columns):
    return all(column_is_fk(table, c, columns) for c in columns)


def has_fk(table, columns):
    return any(column_is_fk(table, c, columns) for c in columns)


def generated(table, column):
    """Step 3.  Nothing is said of a leaf whose generator is the root's."""
    c = table.columns[column]
    if c.generator is None or any(column in f[0] for f in table.foreign):
        return False
    if table is not table.root and c.generator not in ('serial', 'uuid'):
        return None
    return True


def is_local(table, columns):
    return not any(column_is_fk(table, c, columns) or table.columns[c].generator
                   for c in columns)


def parents_of(table, column, far=True):
    """Columns that this one references, at any distance or directly."""
    found = set()
    for columns, ref, refs in table.foreign:
        if column in columns:
            rc = refs[columns.index(column)]
            found.add((ref.root.name, rc))
            if far:
                found |= parents_of(ref, rc)
    return found


def common(a, b, t, s, also=()):
    """Do they reference the same parent?  None if only by way of others."""
    if (parents_of(t, a, False)) & (parents_of(s, b, False) | set(also)):
        return True
    if (parents_of(t, a)) & (parents_of(s, b) | set(also)):
        return None
    return False


def sibling_in(m, column):
    """The sibling in the source, or in a relation joined to it."""
    found, how = sibling(m.t, column, m.s)
    if found is None and how is None:
        for sc, parent in m.joined.items():
            if (parent.name, 'id') in parents_of(m.t, column):
                if (parent.name, 'id') not in parents_of(m.t, column, False):
                    return None, 'unsure'
                m.all_inside['id of ' + parent.name] = m.all_inside.get(sc)
                if m.all_inside[('id of ' + parent.name)][0] == 'sub':
                    return 'id of ' + parent.name, 'unsure'
                return 'id of ' + parent.name, 'fk'
    return found, how


NUMBERS = ('int', 'bigint', 'smallint')


def sibling(t, column, s):
    """(column of s, how), or (None, None)."""
    if family(t, s):
        return column, 'self'
    for columns, ref, refs in t.foreign:
        if family(ref, s) and column in columns:
            return refs[columns.index(column)], 'fk'
    for columns, ref, refs in s.foreign:
        if family(ref, t) and column in refs:
            return columns[refs.index(column)], 'fk'
    chained = False
    for c in s.columns:
        kin = common(column, c, t, s)
        if kin:
            return c, 'parent'
        chained = chained or kin is None
    if chained or any((s.root.name, c) in parents_of(t, column)
                      or (t.root.name, column) in parents_of(s, c) for c in s.columns):
        # related by way of other tables: nothing is said of that
        return None, 'unsure'
    if column in s.columns:
        a, b = t.columns[column].type, s.columns[column].type
        if (a == b or (a in NUMBERS and b in NUMBERS)) and (column,) not in s.keys():
            return column, 'name'
    return None, None


def single_value(restriction):
    return restriction is not None and restriction[0] == 'const'


def bounds(table):
    """What a bound or a CHECK makes one value."""
    found = {c: ('const', v) for c, v in table.pin.items()}
    for c, v in table.checks.items():
        found[c] = ('const', v)
    return found


def unique_alone(t, columns):
    """Step 2: a unique key within the columns, nothing outside of it."""
    if t.heir:
        return False
    return any(set(k) <= set(columns) for k in t.keys())


def worse(a, b):
    return max(a, b, key=lambda one: (RANK[one[0]], one[1]))


def judge(m):
    """The worst over the keys of the target, or an accept by 1, 2, 3."""
    t, s = m.t, m.s
    outside = dict(bounds(t))
    outside.update(m.outside)
    inside = dict(m.inside)
    inside.update(bounds(s))
    m.all_outside, m.all_inside = outside, inside

    counted = set()
    for c, r in outside.items():
        if not single_value(r):
            continue
        sib, how = sibling_in(m, c)
        if how == 'unsure':
            continue
        if sib is None or inside.get(sib) == r:
            counted.add(c)
    matched = set(m.pairs)
    # a column generated from matched ones: these are as good as unique
    derived = {c.name for c in t.columns.values()
               if c.formula and c.formula[0] in matched | counted}
    counted |= derived

    if m.crossed:
        return m.crossed
    wrong = wrong_parent(m)
    if wrong:
        return wrong

    covered = matched | counted
    for key in t.keys():
        pinned = all(single_value(outside.get(c)) for c in key)
        if pinned or (len(key) > 1 and set(key) <= covered):
            return ACCEPT, 2 if derived & set(key) - matched else 1
    if unique_alone(t, matched):
        return ACCEPT, 2
    if any(generated(t, c) for c in matched):
        return ACCEPT, 3
    if any(generated(t, c) is None for c in matched):
        return UNSURE, 3
    if m.split:
        return REJECT, 4

    verdict = (ACCEPT, 0)
    keys = [(k, False) for k in t.keys() if len(k) > 1]
    keys += [(f[0], True) for f in t.foreign if len(f[0]) > 1]
    for key, half in keys:
        if not set(key) & matched:
            continue
        one = judge_key(m, key, counted & set(key), half)
        if two_levels(t) and one[1] >= 5:
            one = UNSURE, one[1]
        if one[0] == DOUBT or one[0] == REJECT:
            one = cap(m, key, counted, one)
        verdict = worse(verdict, one)
    return verdict


def cap(m, key, counted, verdict):
    """Probably unique: at most doubt from 5 on."""
    t = m.t
    mine = [c for c in key if c in m.pairs]
    dropped = [c for c in key if c not in m.pairs and c not in counted]
    uuid = any(t.columns[c].type == 'uuid' and not column_is_fk(t, c, mine) for c in mine)
    timed = is_local(t, mine) and dropped and all(is_time_partition(t, c) for c in dropped)
    if (uuid or timed) and verdict[0] == REJECT and verdict[1] >= 5:
        return DOUBT, verdict[1]
    return verdict


def is_time_partition(t, column):
    division = t.partition or getattr(t, 'partition_key', None)
    return (t.columns[column].role == 'time' and division is not None
            and division[1] == column)


def wrong_parent(m):
    """Step 4: the source column is, or references, the key that another,
    unmatched key column references and the matched one does not."""
    t, s = m.t, m.s
    for tc, sc in m.pairs.items():
        refs = parents_of(s, sc) | {(s.root.name, sc)}
        own = parents_of(t, tc)
        if own & refs:
            continue
        for key in [k for k in t.keys() if len(k) > 1 and tc in k]:
            for other in key:
                if other != tc and other not in m.pairs and parents_of(t, other) & refs:
                    return REJECT, 4
    return None


def two_levels(t):
    """A composite foreign key to a table with another one: whether its
    columns 'have a foreign key' is open."""
    return any(len(f[0]) > 1 and any(len(g[0]) > 1 for g in f[1].foreign)
               for f in t.foreign)


def judge_key(m, key, counted, half):
    t, s = m.t, m.s
    mine = [c for c in key if c in m.pairs]
    dropped = [c for c in key if c not in m.pairs and c not in counted]
    if not dropped:
        return ACCEPT, 1
    with_pins = mine + sorted(counted)
    sibs = {c: sibling_in(m, c) for c in dropped}
    if any(how == 'unsure' for sib, how in sibs.values()):
        return UNSURE, 5
    m_fk, d_fk = is_fk(t, with_pins), has_fk(t, dropped)
    m_local, d_local = is_local(t, with_pins), is_local(t, dropped)
    source = {m.pairs[c] for c in mine}
    for c in counted:
        sib = sibling_in(m, c)[0]
        if sib:
            source.add(sib)
    same = family(t, s)
    # full key of another table
    all_source = set(m.pairs.values()) | source
    full = not same and any(set(k) <= all_source for k in s.keys())
    free = [c for c in dropped if m.all_outside.get(c) is None]
    time_key = all(is_time_partition(t, c) for c in dropped)

    # 5
    is_group = (m.group is not None and set(m.pairs.values()) <= set(m.group) <= all_source
                and (m_fk or not d_fk))
    if m.group is not None and counted and is_fk(t, mine) != m_fk:
        return UNSURE, 5            # can it be a group, but for the pins?
    used = []
    for c in free:
        sib = sibs[c][0]
        constraint = m.inside.get(sib) or (m.all_inside.get(sib) if sib else None)
        if constraint is None:
            continue
        if constraint[0] == 'join' and m_fk and d_local:
            continue
        if constraint[0] in ('sub', 'join') and m_fk and not has_fk(t, [c]):
            return UNSURE, 5
        if sib not in m.inside and sib in bounds(s):
            return UNSURE, 5        # is a bound of the source a constraint?
        used.append(c)
    if used and not full:
        if is_group:
            return ACCEPT, 5
        heads = [parents_of(t, c) for c in with_pins]
        if any(parents_of(t, c) & h for c in used for h in heads):
            return DOUBT, 5
        return REJECT, 5
    if is_group:
        return ACCEPT, 5
    if not free:
        return restricted(m, dropped, sibs, m_fk, m_local, d_fk, time_key)

    # 6
    as_seven = False
    if not full:
        halves = [(f[0], set(with_pins)) for f in t.foreign
                  if len(f[0]) > 1 and family(f[1], s)]
        halves += [(f[0], source) for f in s.foreign if len(f[0]) > 1 and family(f[1], t)]
        broken = False
        for columns, have in halves:
            if have & set(columns) and not set(columns) <= have:
                broken = True
        if not same:
            for k in s.keys():
                if source & set(k) and not set(k) <= source and any(
                        how in ('fk', 'parent') for sib, how in sibs.values()):
                    broken = True
        if broken and not m_fk:
            return REJECT, 6
        as_seven = broken
    if half:
        # the referencing columns of a foreign key: 4 to 6 only
        return seven(m_local, m_fk, d_fk, time_key, 6) if as_seven else (ACCEPT, 6)
    if as_seven:
        return seven(m_local, m_fk, d_fk, time_key, 6)
    # 7
    if same:
        return seven(m_local, m_fk, d_fk, time_key, 7)
    # 8
    if full:
        return ACCEPT, 8
    kin = [common(c, m.pairs[c], t, s, [(s.root.name, m.pairs[c])]) for c in mine]
    if None in kin or (any(kin) and not all(kin)):
        return UNSURE, 8        # does one column of M suffice?
    if all(kin):
        if any(how in ('fk', 'parent') for sib, how in sibs.values()):
            return seven(m_local, m_fk, d_fk, time_key, 8)
        return ACCEPT, 8
    # 9
    if m_fk and not s.lineage and not any(sib for sib, how in sibs.values()):
        return ACCEPT, 9
    # 10
    if time_key:
        return ACCEPT, 10
    if any(sib for sib, how in sibs.values()):
        return seven(m_local, m_fk, d_fk, time_key, 10)
    return ACCEPT, 10


def seven(m_local, m_fk, d_fk, time_key, step):
    if time_key:
        return ACCEPT, step
    if m_local and d_fk:
        return REJECT, step
    if m_fk and not d_fk:
        return ACCEPT, step
    return DOUBT, step


def restricted(m, dropped, sibs, m_fk, m_local, d_fk, time_key):
    """The second half of 5: the target restricts every dropped column."""
    if not any(sib for sib, how in sibs.values()) or m_fk or time_key:
        return ACCEPT, 5
    for c in dropped:
        sib = sibs[c][0]
        ours, theirs = m.all_outside[c], m.all_inside.get(sib) if sib else None
        if single_value(ours) and single_value(theirs) and ours != theirs:
            return (ACCEPT if m.set_reads else REJECT), 5
    return (REJECT if m_local and d_fk else DOUBT), 5
