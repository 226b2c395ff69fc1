/*-------------------------------------------------------------------------
 *
 * restore_query.c
 *		The query that compares kept rows with what is there now.
 *
 * What a migration has done to a table are rows that it has taken away (old
 * images) and rows that it has put there (new ones).  An image that is on both
 * sides cancels out: a row that was updated twice, moved along a chain of keys,
 * or changed and changed back.  What is left are the rows to put back, and those
 * to be found where the migration has left them.  This needs no order of the
 * changes, and is right for rows that are alike, too.
 *
 * What is left is joined by the key of the relation, and with the row that
 * has the key now.  So no row is ever moved from one key to another, and keys
 * that were swapped get the values back that they had.  Rows without a key are
 * found by all of their values.
 *
 * All names in the query are qualified, since it runs under the search_path of
 * the caller.
 *
 * Copyright (c) 2026, the safeguard authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "rows/restore.h"
#include "schema/keys.h"

/* at most this much is shown of a row that has no key */
#define ROW_TEXT	100

/* and nothing of values that take more bytes than this, where they are stored */
#define VALUE_TEXT	10000

/* so many values are arguments of a function; of more there are images of images */
#define IMAGE_VALUES	90

/* ---------------- pieces of the query ---------------- */

/* x.column, as the type that it has in the relation now */
static void
append_kept_value(SgComparison *cmp, AttrNumber attnum)
{
	AttrNumber	kept = cmp->kept_of[attnum - 1];
	Form_pg_attribute to = sg_restore_column(cmp->rel, attnum);
	Form_pg_attribute from = sg_restore_column(cmp->kept, kept);

	appendStringInfo(&cmp->buf, "x.%s", sg_restore_column_name(cmp->kept, kept));
	if (to->atttypid != from->atttypid || to->atttypmod != from->atttypmod)
		appendStringInfo(&cmp->buf, "::%s",
						 format_type_extended(to->atttypid, to->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY));
}

/* The image of a row of x, which is kept, or of t, which is there now. */
static void
append_image(SgComparison *cmp, bool kept)
{
	int			nvalues = cmp->query->nvalues;

	appendStringInfoString(&cmp->buf, "safeguard.row_image(");
	if (nvalues == 0)
		appendStringInfoString(&cmp->buf, "true");
	for (int i = 0; i < nvalues; i++)
	{
		AttrNumber	attnum = cmp->query->attnums[i];

		if (i > 0)
			appendStringInfoString(&cmp->buf, ", ");
		if (nvalues > IMAGE_VALUES && i % IMAGE_VALUES == 0)
			appendStringInfoString(&cmp->buf, "safeguard.row_image(");
		if (kept)
			append_kept_value(cmp, attnum);
		else
			appendStringInfo(&cmp->buf, "t.%s", sg_restore_column_name(cmp->rel, attnum));
		if (nvalues > IMAGE_VALUES &&
			(i % IMAGE_VALUES == IMAGE_VALUES - 1 || i == nvalues - 1))
			appendStringInfoChar(&cmp->buf, ')');
	}
	appendStringInfoChar(&cmp->buf, ')');
}

/* ", prefix1, prefix2, ..." */
static void
append_list(SgComparison *cmp, const char *prefix, int n)
{
	for (int i = 1; i <= n; i++)
		appendStringInfo(&cmp->buf, ", %s%d", prefix, i);
}

/* left.k1 = right.k1 AND ..., where the left side is a relation if "named" */
static void
append_key_match(SgComparison *cmp, const char *left, bool named,
				 const char *right)
{
	for (int i = 0; i < cmp->nkey; i++)
	{
		const SgKeyPart *key = &cmp->key[i];
		Oid			type = sg_restore_column(cmp->rel, key->attnum)->atttypid;
		StringInfoData value;

		initStringInfo(&value);
		if (named)
			appendStringInfo(&value, "%s.%s", left,
							 sg_restore_column_name(cmp->rel, key->attnum));
		else
			appendStringInfo(&value, "%s.k%d", left, i + 1);
		if (i > 0)
			appendStringInfoString(&cmp->buf, " AND ");
		generate_operator_clause(&cmp->buf, value.data, type, key->operator,
								 psprintf("%s.k%d", right, i + 1), type);
		if (OidIsValid(key->collation))
			appendStringInfo(&cmp->buf, " COLLATE %s",
							 generate_collation_name(key->collation));
	}
}

/*
 * e: the images; m: how many copies of an image are old and how many are new.
 * Copies are counted in the order of the changes: the first old ones and the
 * last new ones are left.
 */
static void
append_images(SgComparison *cmp)
{
	StringInfo	buf = &cmp->buf;

	appendStringInfoString(buf, "WITH RECURSIVE e AS (SELECT x.sg_statement AS s, x.sg_change AS c, "
						   "x.sg_image OPERATOR(pg_catalog.=) 'o' "
						   "OR x.sg_image OPERATOR(pg_catalog.=) 'd' AS was, ");
	append_image(cmp, true);
	appendStringInfoString(buf, " AS h");
	for (int i = 0; i < cmp->nkey; i++)
	{
		appendStringInfoString(buf, ", ");
		append_kept_value(cmp, cmp->key[i].attnum);
		if (OidIsValid(cmp->key[i].collation))
			appendStringInfo(buf, " COLLATE %s",
							 generate_collation_name(cmp->key[i].collation));
		appendStringInfo(buf, " AS k%d", i + 1);
	}
	for (int i = 0; i < cmp->query->nvalues; i++)
		appendStringInfo(buf, ", x.%s AS v%d",
						 sg_restore_column_name(cmp->kept,
									 cmp->kept_of[cmp->query->attnums[i] - 1]),
						 i + 1);

	/* CASE, since the planner would expect few rows of a range */
	appendStringInfo(buf, " FROM ONLY %s x "
					 "WHERE CASE WHEN x.sg_statement OPERATOR(pg_catalog.>=) $1 "
					 "THEN x.sg_statement OPERATOR(pg_catalog.<=) $2 END), ",
					 quote_qualified_identifier(SG_KEPT_SCHEMA,
												RelationGetRelationName(cmp->kept)));
	appendStringInfoString(buf, "m AS (SELECT e.*, pg_catalog.row_number() "
						   "OVER (PARTITION BY h, was ORDER BY s, c) AS r, "
						   "pg_catalog.count(*) FILTER (WHERE was) OVER (PARTITION BY h) AS n_old, "
						   "pg_catalog.count(*) FILTER (WHERE NOT was) OVER (PARTITION BY h) AS n_new "
						   "FROM e), ");
}

#define LEFT_OLD \
	"was AND r OPERATOR(pg_catalog.<=) (n_old OPERATOR(pg_catalog.-) n_new)"
#define LEFT_NEW \
	"NOT was AND r OPERATOR(pg_catalog.>) n_old"

/*
 * pairs: which of the rows that are left has become which, by the changes of
 * both, unless that can be seen from the key and the change.  From a row's change it goes on with the change of the old image that
 * its new image has cancelled out.
 */
static void
append_pairs(SgComparison *cmp, const char *from)
{
	appendStringInfo(&cmp->buf, "walk AS (SELECT %s UNION ALL "
					 "SELECT w.head, o.c FROM walk w "
					 "JOIN m n ON n.c OPERATOR(pg_catalog.=) w.tail AND NOT n.was "
					 "AND n.r OPERATOR(pg_catalog.<=) n.n_old "
					 "JOIN m o ON o.h OPERATOR(pg_catalog.=) n.h AND o.was "
					 "AND o.r OPERATOR(pg_catalog.=) (n.r OPERATOR(pg_catalog.+) "
					 "GREATEST(n.n_old OPERATOR(pg_catalog.-) n.n_new, 0))), "
					 "pairs AS MATERIALIZED (SELECT w.head, w.tail FROM walk w "
					 "JOIN d ON d.c OPERATOR(pg_catalog.=) w.tail), ",
					 from);
}

/*
 * a: rows to put back; d: rows that were made of them, by key.  Of several with
 * one key the migration itself has made all but the first, or has left the last.
 * q: both, and the row that has the key now.
 */
static void
append_by_key(SgComparison *cmp)
{
	StringInfo	buf = &cmp->buf;

	for (int left = 0; left < 2; left++)
	{
		appendStringInfo(buf, "%s AS (SELECT DISTINCT ON (", left == 0 ? "a" : "d");
		for (int i = 1; i <= cmp->nkey; i++)
			appendStringInfo(buf, "%sk%d", i > 1 ? ", " : "", i);
		appendStringInfo(buf, ") * FROM m WHERE %s ORDER BY ",
						 left == 0 ? LEFT_OLD : LEFT_NEW);
		for (int i = 1; i <= cmp->nkey; i++)
			appendStringInfo(buf, "k%d, ", i);
		appendStringInfoString(buf, left == 0 ? "s, c), " : "s DESC, c DESC), ");
	}
	appendStringInfoString(buf, "p AS (SELECT a.c AS ac, a.h AS ah, d.c AS dc, d.h AS dh");
	for (int i = 1; i <= cmp->nkey; i++)
		appendStringInfo(buf, ", CASE WHEN d.c IS NULL THEN a.k%d ELSE d.k%d END AS k%d",
						 i, i, i);
	append_list(cmp, "a.v", cmp->query->nvalues);
	appendStringInfoString(buf, " FROM a FULL JOIN d ON ");
	append_key_match(cmp, "a", false, "d");
	appendStringInfoString(buf, "), q AS MATERIALIZED (SELECT p.*, t.tableoid AS toid, t.ctid AS tid, "
						   "CASE WHEN t.ctid IS NOT NULL THEN ");
	append_image(cmp, false);
	appendStringInfoString(buf, " END AS th FROM p LEFT JOIN ");
	appendStringInfoString(buf, sg_rows_of(cmp->rel));
	appendStringInfoString(buf, " t ON ");
	append_key_match(cmp, "t", true, "p");
	appendStringInfoString(buf, "), ");
	append_pairs(cmp, "ac AS head, ac AS tail FROM p WHERE ac IS NOT NULL AND "
				 "(dc IS NULL OR dc OPERATOR(pg_catalog.<>) ac)");
}

/* A value in the text of a row, which is not made of one that is huge. */
static const char *
shown_value(const char *from, int n)
{
	return psprintf("CASE WHEN pg_catalog.pg_column_size(%s.v%d) OPERATOR(pg_catalog.<=) %d THEN %s.v%d END",
					from, n, VALUE_TEXT, from, n);
}

/*
 * The same without a key: rows that are alike are numbered, and a row to put
 * back takes the place of the one that it has become.
 */
static void
append_by_image(SgComparison *cmp)
{
	StringInfo	buf = &cmp->buf;

	appendStringInfoString(buf, "a AS (SELECT * FROM m WHERE " LEFT_OLD "), "
						   "d AS (SELECT m.*, pg_catalog.row_number() "
						   "OVER (PARTITION BY h ORDER BY s, c) AS n FROM m WHERE " LEFT_NEW "), ");
	append_pairs(cmp, "c AS head, c AS tail FROM a");
	appendStringInfoString(buf, "t AS (SELECT t.toid, t.tid, t.th, pg_catalog.row_number() "
						   "OVER (PARTITION BY t.th ORDER BY t.toid, t.tid) AS n "
						   "FROM (SELECT t.tableoid AS toid, t.ctid AS tid, ");
	append_image(cmp, false);
	appendStringInfo(buf, " AS th FROM %s t OFFSET 0) t WHERE EXISTS "
					 "(SELECT FROM d WHERE d.h OPERATOR(pg_catalog.=) t.th)), "
					 "q AS MATERIALIZED (SELECT a.c AS ac, a.h AS ah, d.c AS dc, "
					 "d.h AS dh", sg_rows_of(cmp->rel));
	append_list(cmp, "a.v", cmp->query->nvalues);
	appendStringInfoString(buf, ", t.toid, t.tid, t.th, "
						   "CASE WHEN d.c IS NOT NULL AND t.tid IS NULL THEN pg_catalog.left(ROW(");
	for (int i = 1; i <= cmp->query->nvalues; i++)
		appendStringInfo(buf, "%sCASE WHEN a.c IS NULL THEN %s ELSE %s END",
						 i > 1 ? ", " : "", shown_value("d", i),
						 shown_value("a", i));
	appendStringInfo(buf, ")::pg_catalog.text, %d) END AS x "
					 "FROM (a LEFT JOIN pairs ON pairs.head OPERATOR(pg_catalog.=) a.c) "
					 "FULL JOIN d ON d.c OPERATOR(pg_catalog.=) pairs.tail LEFT JOIN t ON "
					 "t.th OPERATOR(pg_catalog.=) d.h AND t.n OPERATOR(pg_catalog.=) d.n), ",
					 ROW_TEXT);
}

/*
 * z: what is to be done with each.
 */
static void
append_acts(SgComparison *cmp)
{
	appendStringInfoString(&cmp->buf, "z AS MATERIALIZED (SELECT q.*, CASE "
						   "WHEN q.ac IS NOT NULL AND q.dc IS NOT NULL THEN "
						   "CASE WHEN q.th IS NULL THEN 'x' "
						   "WHEN q.th OPERATOR(pg_catalog.=) q.dh THEN 'u' "
						   "WHEN q.th OPERATOR(pg_catalog.=) q.ah THEN 's' ELSE 'c' END "
						   "WHEN q.ac IS NOT NULL THEN "
						   "CASE WHEN q.th IS NULL THEN 'i' "
						   "WHEN q.th OPERATOR(pg_catalog.=) q.ah THEN 's' ELSE 't' END "
						   "WHEN q.th IS NULL THEN 'g' "
						   "WHEN q.th OPERATOR(pg_catalog.=) q.dh THEN 'd' ELSE 'm' END AS act FROM q) ");
}

/*
 * A row that has become one with another key takes the columns from there that
 * are not kept.  If that is only deleted, both are one change, and it need not
 * be there if the row has its old key again.  A row that no other has become was
 * put there by a restore, which is undone, or by the migration, where it stays.
 */
static void
append_result(SgComparison *cmp)
{
	StringInfo	buf = &cmp->buf;
	bool		keyed = cmp->nkey > 0;
	char	   *mine = psprintf("(%s OR EXISTS (SELECT FROM ONLY %s x "
								"WHERE x.sg_image OPERATOR(pg_catalog.=) '%c'))",
								keyed ? "z.ac IS NOT NULL OR e.head IS NOT NULL" :
								"z.ac IS NOT NULL",
								quote_qualified_identifier(SG_KEPT_SCHEMA,
														   RelationGetRelationName(cmp->kept)),
								SG_IMAGE_INSERTED);

	appendStringInfo(buf, "SELECT CASE WHEN z.act OPERATOR(pg_catalog.=) 'd' AND %s "
					 "THEN 'r' ELSE z.act END::pg_catalog.\"char\", z.toid, z.tid, %s, "
					 "CASE WHEN z.act OPERATOR(pg_catalog.=) 'u' OR z.act OPERATOR(pg_catalog.=) 'd' "
					 "OR z.act OPERATOR(pg_catalog.=) 'i' THEN NULL ELSE %s",
					 keyed ? "e.head IS NULL" : "z.ac IS NULL",
					 keyed ? "w.toid, w.tid, CASE WHEN z.ac IS NULL "
					 "THEN f.dc IS NULL AND f.act OPERATOR(pg_catalog.=) 'i' "
					 "ELSE w.ac IS NULL AND w.tid IS NOT NULL END" :
					 "NULL::pg_catalog.oid, NULL::pg_catalog.tid, false",
					 keyed ? "pg_catalog.concat_ws(', '" : "z.x");
	if (keyed)
		append_list(cmp, "z.k", cmp->nkey);
	appendStringInfoString(buf, keyed ? ") END" : " END");
	append_list(cmp, "z.v", cmp->query->nvalues);
	if (keyed)
		appendStringInfoString(buf, " FROM z LEFT JOIN pairs b ON b.head OPERATOR(pg_catalog.=) z.ac "
							   "LEFT JOIN z w ON w.dc OPERATOR(pg_catalog.=) b.tail "
							   "LEFT JOIN pairs e ON e.tail OPERATOR(pg_catalog.=) z.dc "
							   "LEFT JOIN z f ON f.ac OPERATOR(pg_catalog.=) e.head "
							   "WHERE z.act OPERATOR(pg_catalog.<>) 's' AND "
							   "(z.act OPERATOR(pg_catalog.<>) 'g' OR "
							   "e.head IS NOT NULL AND f.act OPERATOR(pg_catalog.<>) 's') ");
	else
		appendStringInfoString(buf, " FROM z WHERE z.act OPERATOR(pg_catalog.<>) 's' "
							   "AND z.act OPERATOR(pg_catalog.<>) 'g' ");
	appendStringInfo(buf, "AND %s ORDER BY z.toid, z.tid", mine);
	if (keyed)
		append_list(cmp, "z.k", cmp->nkey);
	else
		appendStringInfoString(buf, ", z.ac");
}

/* ---------------- the query ---------------- */

SgRestoreQuery *
sg_restore_query(Relation rel, Relation kept, const SgKeptTable *table)
{
	SgComparison cmp = {0};

	cmp.rel = rel;
	cmp.kept = kept;
	cmp.table = table;
	cmp.query = palloc0(sizeof(SgRestoreQuery));
	sg_compare_columns(&cmp);
	initStringInfo(&cmp.buf);
	append_images(&cmp);
	if (cmp.nkey > 0)
		append_by_key(&cmp);
	else
		append_by_image(&cmp);
	append_acts(&cmp);
	append_result(&cmp);
	cmp.query->sql = cmp.buf.data;
	return cmp.query;
}
