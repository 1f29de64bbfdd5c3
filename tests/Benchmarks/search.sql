-- :n messages of the last 14 days that have been delivered and are remembered, one recipient each, of 200,000 recipients and 50,000 senders; with their
-- terms, as shared/Mail/Search/SearchTerm.cs makes them.
SET synchronous_commit = off;
SELECT CAST(extract(epoch FROM now()) * 1000 AS BIGINT) AS now \gset
CREATE FUNCTION pg_temp.term(text TEXT) RETURNS BIGINT LANGUAGE SQL IMMUTABLE
  RETURN CAST(CAST('x' || substr(encode(sha256(convert_to(text, 'UTF8')), 'hex'), 1, 16) AS BIT(64)) AS BIGINT);
ALTER TABLE search_terms DROP CONSTRAINT search_terms_pkey;
INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs, header_id)
  SELECT i, :now - CAST(1209600000.0 * (:n - i) / :n AS BIGINT), 's' || i % 50000 || '@example.org', 'example.org', 2048, 0, '', 0, i || '.x@example.org'
  FROM generate_series(CAST(1 AS BIGINT), :n) i;
INSERT INTO recipients (id, address, original, domain, flow, route, state, attempts, next_attempt_at, claim, updated_at)
  SELECT i << 16, 'r' || i % 200000 || '@d' || i % 20000 || '.example.net', '', 'd' || i % 20000 || '.example.net', 'example.org', 0, 1, 1, 0, 0,
         :now - CAST(1209600000.0 * (:n - i) / :n AS BIGINT) FROM generate_series(CAST(1 AS BIGINT), :n) i;
INSERT INTO attempts (recipient_id, number, outcome, started_at, finished_at, status, reply, remote_host, worker)
  SELECT i << 16, 1, 1, :now, :now, '2.0.0', '250 2.0.0 Ok: queued as ' || i, 'mx.example.net[192.0.2.1]:25', 'delivery-7d4f[10.0.0.7]'
  FROM generate_series(CAST(1 AS BIGINT), :n) i;
INSERT INTO search_terms (term, message_id)
  SELECT pg_temp.term('fs' || s || '@example.org'), i FROM generate_series(0, 49999) s, generate_series(CASE WHEN s = 0 THEN 50000 ELSE s END, :n, 50000) i
  UNION ALL
  SELECT pg_temp.term('tr' || r || '@d' || r % 20000 || '.example.net'), i
  FROM generate_series(0, 199999) r, generate_series(CASE WHEN r = 0 THEN 200000 ELSE r END, :n, 200000) i
  UNION ALL
  SELECT pg_temp.term('i' || i || '.x@example.org'), i FROM generate_series(CAST(1 AS BIGINT), :n) i;
ALTER TABLE search_terms ADD PRIMARY KEY (term, message_id);
UPDATE id_blocks SET next = :n + 1000000;
VACUUM ANALYZE;
