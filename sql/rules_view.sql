--
-- safeguard.rules: what there is, and at which level it acts here and now
--

SELECT rule, sqlstate, level, default_level, page FROM safeguard.rules;
SELECT rule, description FROM safeguard.rules;

-- the columns are a contract
SELECT attname, atttypid::regtype
  FROM pg_attribute
 WHERE attrelid = 'safeguard.rules'::regclass AND attnum > 0
 ORDER BY attnum;

-- level is the one in force: the parameter, capped by max_level and enabled
SET safeguard.composite_key = record;
SELECT rule, level FROM safeguard.rules;
RESET safeguard.composite_key;
SET safeguard.max_level = record;
SELECT rule, level FROM safeguard.rules;
RESET safeguard.max_level;
SET safeguard.enabled = off;
SELECT rule, level FROM safeguard.rules;
RESET safeguard.enabled;

-- a doubt never acts above the rule that it doubts
SET safeguard.composite_key_doubt = error;
SET safeguard.composite_key = record;
SELECT rule, level FROM safeguard.rules;
