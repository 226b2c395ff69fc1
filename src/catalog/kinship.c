/*-------------------------------------------------------------------------
 *
 * kinship.c
 *		How columns of different relations are related by foreign keys.
 *
 * A column is followed along foreign keys, composite ones column by column,
 * to the columns it references in the end: reading.site_id →
 * sensor.site_id → site.id.  Two columns that reach the same column have the
 * same parent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"

#include "catalog/catalog.h"

/* Foreign keys are followed this far; cycles end here too. */
#define MAX_DEPTH 8

typedef struct ColumnId
{
	Oid			relid;
	AttrNumber	att;
} ColumnId;

/*
 * Is it the same column: of the same table, or of the same name in two
 * members of one partition or inheritance tree?
 */
bool
sg_same_column(SgCatalog *catalog, Oid rela, AttrNumber atta,
			   Oid relb, AttrNumber attb)
{
	char	   *namea;
	char	   *nameb;

	if (rela == relb)
		return atta == attb;
	namea = get_attname(rela, atta, true);
	nameb = get_attname(relb, attb, true);
	return namea && nameb && strcmp(namea, nameb) == 0 &&
		sg_same_tree(catalog, rela, relb);
}

static bool
has_foreign_key(SgCatalog *catalog, Oid relid, AttrNumber att,
				Bitmapset *within, int depth)
{
	ListCell   *lc;

	foreach(lc, sg_foreign_keys(catalog, relid))
	{
		SgKey	   *fkey = (SgKey *) lfirst(lc);

		if (!bms_is_member(att, fkey->set))
			continue;
		if (bms_is_subset(fkey->set, within))
			return true;
		if (depth >= MAX_DEPTH)
			continue;
		for (int i = 0; i < fkey->ncols; i++)
			if (fkey->cols[i] == att &&
				has_foreign_key(catalog, fkey->parent, fkey->refs[i],
								bms_make_singleton(fkey->refs[i]), depth + 1))
				return true;
	}
	return false;
}

/*
 * Does the column belong to a foreign key that lies within the given columns,
 * or does a composite one map it to such a column of its parent?
 */
bool
sg_has_foreign_key(SgCatalog *catalog, Oid relid, AttrNumber att,
				   Bitmapset *within)
{
	return att > 0 && has_foreign_key(catalog, relid, att, within, 0);
}

/* Adds the columns that a column references, directly or in the end. */
static List *
add_parents(SgCatalog *catalog, Oid relid, AttrNumber att, int depth,
			List *result)
{
	ListCell   *lc;

	if (att <= 0 || depth > MAX_DEPTH)
		return result;
	foreach(lc, sg_foreign_keys(catalog, relid))
	{
		SgKey	   *fkey = (SgKey *) lfirst(lc);

		for (int i = 0; i < fkey->ncols; i++)
		{
			ColumnId   *id;
			ListCell   *seen;
			bool		known = false;

			if (fkey->cols[i] != att)
				continue;
			foreach(seen, result)
			{
				id = (ColumnId *) lfirst(seen);
				if (id->relid == fkey->parent && id->att == fkey->refs[i])
					known = true;
			}
			if (known)
				continue;
			id = palloc(sizeof(ColumnId));
			id->relid = fkey->parent;
			id->att = fkey->refs[i];
			result = lappend(result, id);
			result = add_parents(catalog, id->relid, id->att, depth + 1,
								 result);
		}
	}
	return result;
}

/* Does a column reference the given one, directly or in the end? */
bool
sg_references(SgCatalog *catalog, Oid relid, AttrNumber att,
			  Oid parent, AttrNumber ref)
{
	ListCell   *lc;

	foreach(lc, add_parents(catalog, relid, att, 0, NIL))
	{
		ColumnId   *id = (ColumnId *) lfirst(lc);

		if (sg_same_column(catalog, id->relid, id->att, parent, ref))
			return true;
	}
	return false;
}

/* Is there a column that both reference, directly or in the end? */
bool
sg_same_parent(SgCatalog *catalog, Oid rela, AttrNumber atta,
			   Oid relb, AttrNumber attb)
{
	List	   *parents = add_parents(catalog, rela, atta, 0, NIL);
	ListCell   *lc;

	if (parents == NIL)
		return false;
	foreach(lc, add_parents(catalog, relb, attb, 0, NIL))
	{
		ColumnId   *b = (ColumnId *) lfirst(lc);
		ListCell   *la;

		foreach(la, parents)
		{
			ColumnId   *a = (ColumnId *) lfirst(la);

			if (sg_same_column(catalog, a->relid, a->att, b->relid, b->att))
				return true;
		}
	}
	return false;
}

/* Could somebody mean the same by two columns of these types? */
bool
sg_comparable(Oid rela, AttrNumber atta, Oid relb, AttrNumber attb)
{
	Oid			typea = getBaseType(get_atttype(rela, atta));
	Oid			typeb = getBaseType(get_atttype(relb, attb));

	return OidIsValid(typea) && OidIsValid(typeb) &&
		(typea == typeb || TypeCategory(typea) == TypeCategory(typeb));
}

/* A column of one member of a tree as another member numbers it, or 0. */
static AttrNumber
translate(Oid from, AttrNumber att, Oid to)
{
	char	   *name;

	if (from == to)
		return att;
	name = get_attname(from, att, true);
	return name ? get_attnum(to, name) : InvalidAttrNumber;
}

/*
 * The column of another relation that a foreign key maps the column to, in
 * either direction, or 0.
 */
AttrNumber
sg_mapped_column(SgCatalog *catalog, Oid relid, AttrNumber att, Oid other)
{
	ListCell   *lc;

	if (!OidIsValid(other))
		return InvalidAttrNumber;
	foreach(lc, sg_foreign_keys(catalog, relid))
	{
		SgKey	   *fkey = (SgKey *) lfirst(lc);

		if (!bms_is_member(att, fkey->set) ||
			!sg_same_tree(catalog, fkey->parent, other))
			continue;
		for (int i = 0; i < fkey->ncols; i++)
			if (fkey->cols[i] == att)
				return translate(fkey->parent, fkey->refs[i], other);
	}
	foreach(lc, sg_foreign_keys(catalog, other))
	{
		SgKey	   *fkey = (SgKey *) lfirst(lc);

		if (!sg_same_tree(catalog, fkey->parent, relid))
			continue;
		for (int i = 0; i < fkey->ncols; i++)
			if (translate(fkey->parent, fkey->refs[i], relid) == att)
				return fkey->cols[i];
	}
	return InvalidAttrNumber;
}

/*
 * The column of another relation that references the same parent as the
 * column, or 0; one of the same name is preferred.
 */
AttrNumber
sg_parent_sibling(SgCatalog *catalog, Oid relid, AttrNumber att, Oid other)
{
	AttrNumber	found = InvalidAttrNumber;
	char	   *name = get_attname(relid, att, true);
	ListCell   *lc;

	if (!OidIsValid(other) || name == NULL)
		return found;
	foreach(lc, sg_foreign_keys(catalog, other))
	{
		SgKey	   *fkey = (SgKey *) lfirst(lc);

		for (int i = 0; i < fkey->ncols; i++)
		{
			char	   *other_name;

			if (!sg_same_parent(catalog, relid, att, other, fkey->cols[i]))
				continue;
			other_name = get_attname(other, fkey->cols[i], true);
			if (other_name && strcmp(name, other_name) == 0)
				return fkey->cols[i];
			if (found == InvalidAttrNumber)
				found = fkey->cols[i];
		}
	}
	return found;
}
