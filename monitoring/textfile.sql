-- All metrics in Prometheus' text format, e.g. for the textfile collector of
-- node_exporter:
--
--   psql -XAtq -d DATABASE -f textfile.sql >safeguard.prom.new &&
--     mv safeguard.prom.new /var/lib/prometheus/node-exporter/safeguard.prom

-- whoever may create in a schema must not be able to mean others than these
SET search_path = pg_catalog, pg_temp;

WITH sample AS (
    SELECT m.name, m.type, m.help, m.value, m.ord,
           CASE m.type WHEN 'histogram' THEN regexp_replace(m.name, '_(bucket|sum|count)$', '')
                       ELSE m.name END AS family,
           (SELECT string_agg(format('%s="%s"', l.key,
                                     replace(replace(replace(l.value, '\', '\\'), '"', '\"'), E'\n', '\n')),
                              ',' ORDER BY l.key)
              FROM jsonb_each_text(m.labels) AS l) AS labels
      FROM safeguard.metrics() WITH ORDINALITY AS m(name, type, help, labels, value, ord)),
line AS (
    SELECT s.family, 0::bigint AS ord, format(E'# HELP %s %s\n# TYPE %1$s %3$s', s.family, s.help, s.type) AS text
      FROM sample s
     GROUP BY s.family, s.help, s.type
    UNION ALL
    SELECT s.family, s.ord,
           format('%s%s %s', s.name, '{' || s.labels || '}',
                  CASE s.value WHEN 'Infinity' THEN '+Inf' WHEN '-Infinity' THEN '-Inf' ELSE s.value::text END)
      FROM sample s)
SELECT l.text
  FROM line l
 ORDER BY min(nullif(l.ord, 0)) OVER (PARTITION BY l.family), l.ord;
