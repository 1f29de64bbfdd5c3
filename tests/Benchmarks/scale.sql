-- :n recipients of :d domains, as they are after three attempts. Each message has one recipient and 2 KB of content. Domains differ in
-- size: the largest has about a thousand times as many recipients as the smallest. A little is held. All are due from :due milliseconds after
-- now on, within :spread; :failing fifths of the domains cannot be reached. Their hosts are :site, or where that is empty each has its own.
SET synchronous_commit = off;
SELECT CAST(extract(epoch FROM now()) * 1000 AS BIGINT) AS now \gset
CREATE TEMP TABLE filled AS SELECT i, 'd' || CAST(floor(:d * power(random(), 3)) AS BIGINT) || '.example.net' AS domain FROM generate_series(CAST(1 AS BIGINT), :n) i;
INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs)
  SELECT i, :now - 7200000 + i / 1000, 'ann@example.org', 'example.org', 2048, 1, '', 1 FROM filled;
INSERT INTO chunks (id, size_bytes, bytes, segment, position) SELECT i << 16, 2048, decode(repeat('78', 2048), 'hex'), 0, 0 FROM filled;
INSERT INTO recipients (id, address, original, domain, flow, route, state, attempts, next_attempt_at, claim, updated_at)
  SELECT i << 16, 'user' || i || '@' || domain, '', domain, 'example.org', 0, CASE WHEN i % 10000 = 0 THEN 5 ELSE 0 END, 3,
         :now + :due + CAST(random() * :spread AS BIGINT), 0, :now FROM filled;
INSERT INTO attempts (recipient_id, number, outcome, started_at, finished_at, status, reply, remote_host)
  SELECT i << 16, a, 2, :now - 7200000 + a * 1000000, :now - 7199000 + a * 1000000, '4.2.2', '452 4.2.2 The mailbox of user' || i || ' is full',
         'mx.' || domain || '[192.0.2.1]:25' FROM filled, generate_series(1, 3) a;
INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason, site)
  SELECT domain, MIN(next_attempt_at), CASE WHEN abs(hashtext(domain)::BIGINT) % 5 < :failing THEN 4 ELSE 0 END,
         CASE WHEN abs(hashtext(domain)::BIGINT) % 5 < :failing THEN :now + 3600000 ELSE 0 END,
         CASE WHEN abs(hashtext(domain)::BIGINT) % 5 < :failing THEN '4.4.1 no host of it answers' ELSE '' END, COALESCE(NULLIF(:'site', ''), 'mx.' || domain)
  FROM recipients WHERE state = 0 GROUP BY domain;
-- What they are found by: 64 bits of a hash, as SearchTerm makes it.
CREATE FUNCTION pg_temp.term(kind text, name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
  $$ SELECT CAST(CAST('x' || encode(substr(sha256(convert_to(kind || name, 'UTF8')), 1, 8), 'hex') AS bit(64)) AS bigint) $$;
INSERT INTO search_terms (term, message_id) SELECT pg_temp.term('f', 'ann@example.org'), i FROM filled;
INSERT INTO search_terms (term, message_id) SELECT pg_temp.term('t', 'user' || i || '@' || domain), i FROM filled;
INSERT INTO queue_state (name, value, since) VALUES ('message_search', 1, :now - 86400000);
UPDATE id_blocks SET next = :n + 1000000;
VACUUM ANALYZE;
