using System.Globalization;

namespace MailPipeline.Storage;

/// <summary>
/// The schema, as a list that only grows: entry n leads from version n to n + 1. Both engines run the same text. Changes
/// are additive, so that an older program of the same release line still works on a newer schema during a rolling upgrade.
/// </summary>
/// <param name="entries">From the first on.</param>
/// <param name="oldestProgram">That works on the schema as the last of them leaves it.</param>
internal sealed class Migrations(string[][] entries, int oldestProgram)
{
    /// <summary>What this program brings a store to.</summary>
    public static Migrations OfThisProgram => new(All, OldestProgram);

    /// <summary>
    /// The oldest program, by the entries it knows, that works on the schema as the last entry leaves it. It is kept in the store for
    /// programs that do not know that entry. An entry that changes what is there already raises it to its own number.
    /// </summary>
    public const int OldestProgram = 1;

    /// <summary>Beside the schema, for a program has to read it before it knows which schema there is.</summary>
    public const string CreateOldestProgram = "CREATE TABLE IF NOT EXISTS oldest_release (version BIGINT NOT NULL)";

    public const string ReadOldestProgram = "SELECT COALESCE(MAX(version), 0) FROM oldest_release";

    /// <summary>The version that the last entry leads to.</summary>
    public int Newest => entries.Length;

    public string WriteOldestProgram { get; } =
        string.Create(CultureInfo.InvariantCulture, $"INSERT INTO oldest_release (version) VALUES ({oldestProgram})");

    /// <summary>What leads from a version to the next; a version that this program does not know has no next.</summary>
    public IEnumerable<(int Version, string[] Statements)> From(long version)
    {
        for (var next = (int)Math.Min(version, Newest); next < Newest; next++)
            yield return (next + 1, entries[next]);
    }

    /// <param name="version">Of the store's schema.</param>
    /// <param name="oldestProgram">As the store says; 0 when nobody has said anything, as programs before the first release did not in this place.</param>
    /// <exception cref="UnknownSchemaException">This program does not know what the tables mean.</exception>
    public void EnsureKnown(long version, long oldestProgram)
    {
        if (version > 0 && oldestProgram == 0)
            throw UnknownSchemaException.Unreleased(version);
        if (version > Newest && oldestProgram > Newest)
            throw UnknownSchemaException.Newer(version, Newest);
    }

    public static readonly string[][] All =
    [
        [
            // Next unused id by name; processes take blocks.
            "CREATE TABLE id_blocks (name TEXT PRIMARY KEY, next BIGINT NOT NULL)",
            "INSERT INTO id_blocks (name, next) VALUES ('message', 1), ('claim', 1), ('account', 1), ('fence', 1), ('audit', 1)",

            // flow: whose message it is where senders take turns. content_refs: what still needs the bytes: recipients without a final
            // outcome or with one that is not reported yet, and maildrop rows. size_bytes counts the fields put in front of the content too.
            // hold_reason: why its recipients are held as soon as they are routed, or empty. tags: what checks called it, one a line.
            """
            CREATE TABLE messages (
                id {id}, accepted_at BIGINT NOT NULL, sender TEXT NOT NULL, flow TEXT NOT NULL, size_bytes BIGINT NOT NULL,
                body BIGINT NOT NULL, trace_parent TEXT NOT NULL, content_refs BIGINT NOT NULL,
                hold_reason TEXT NOT NULL DEFAULT '', tags TEXT NOT NULL DEFAULT '')
            """,

            // id: message id and number of the chunk in one key, like recipients. Number 0 begins with the fields put in front of the
            // content; a larger content begins with number 1. segment 0: the bytes are in the row.
            """
            CREATE TABLE chunks (
                id {id}, size_bytes BIGINT NOT NULL, bytes {bytes} NOT NULL, segment BIGINT NOT NULL, position BIGINT NOT NULL)
            """,
            "CREATE INDEX chunks_segment ON chunks (segment, size_bytes) WHERE segment > 0",

            // PostgreSQL: messages that are not there and have chunks all the same, and since when that is known.
            "CREATE TABLE ownerless_content (message_id {id}, seen_at BIGINT NOT NULL)",

            // Accepted, and the router has not seen it yet. recipients: forward-paths, one a line.
            "CREATE TABLE unrouted (message_id {id}, recipients TEXT NOT NULL)",

            // state: see RecipientState. claim 0: nobody holds it. original: the address before aliases, or empty. flow: of its message.
            // deaths: workers that died while they tried it. uncertain: attempts of that outcome. hold_reason: why it is held, when
            // no operator said so.
            """
            CREATE TABLE recipients (
                id {id}, address TEXT NOT NULL, original TEXT NOT NULL, domain TEXT NOT NULL, route BIGINT NOT NULL, flow TEXT NOT NULL,
                state BIGINT NOT NULL, attempts BIGINT NOT NULL, next_attempt_at BIGINT NOT NULL, claim BIGINT NOT NULL,
                deaths BIGINT NOT NULL DEFAULT 0, uncertain BIGINT NOT NULL DEFAULT 0, hold_reason TEXT NOT NULL DEFAULT '',
                updated_at BIGINT NOT NULL)
            """,

            // All that counting what waits needs: the rows themselves are not read for it.
            "CREATE INDEX recipients_due ON recipients (domain, next_attempt_at, id, route, state) WHERE state = 0",
            // From one sender's mail for a domain to the next one's, whatever lies between.
            "CREATE INDEX recipients_flows ON recipients (domain, flow, next_attempt_at, id) WHERE state = 0",
            "CREATE INDEX recipients_held ON recipients (id) WHERE state = 5",

            """
            CREATE TABLE attempts (
                recipient_id BIGINT NOT NULL, number BIGINT NOT NULL, outcome BIGINT NOT NULL, started_at BIGINT NOT NULL,
                finished_at BIGINT NOT NULL, status TEXT NOT NULL, reply TEXT NOT NULL, remote_host TEXT NOT NULL,
                PRIMARY KEY (recipient_id, number)) {without_rowid}
            """,

            // Bounced or expired, and the sender is to be told from due_at on. All that the report says of the recipient is here.
            """
            CREATE TABLE unreported (
                recipient_id {id}, address TEXT NOT NULL, original TEXT NOT NULL, state BIGINT NOT NULL, was_tried BIGINT NOT NULL,
                outcome BIGINT NOT NULL, status TEXT NOT NULL, reply TEXT NOT NULL, remote_host TEXT NOT NULL,
                started_at BIGINT NOT NULL, finished_at BIGINT NOT NULL, due_at BIGINT NOT NULL)
            """,
            "CREATE INDEX unreported_due ON unreported (due_at, recipient_id)",

            // due_at: never later than the earliest next_attempt_at of the domain's queued recipients. site: of the last attempt that left
            // somebody waiting; empty before.
            """
            CREATE TABLE domain_queues (
                domain TEXT PRIMARY KEY, due_at BIGINT NOT NULL, failures BIGINT NOT NULL, backoff_until BIGINT NOT NULL,
                reason TEXT NOT NULL, site TEXT NOT NULL DEFAULT '')
            """,

            // From when a domain is to be woken: what is backed off lies behind, and is not read.
            """
            CREATE INDEX domain_queues_wake ON domain_queues
                ((CASE WHEN due_at > backoff_until THEN due_at ELSE backoff_until END), domain)
            """,

            // recipients: the ids won, separated by commas. began_at: since when the worker tries them; 0: it holds them and has not
            // dialled; -1: it is done, and its report is under way. dots: recipients whose final dot may have been sent and who have no
            // outcome yet, separated by commas; when it is done also, with a minus sign, those whose attempt ended otherwise.
            """
            CREATE TABLE claims (
                id {id}, domain TEXT NOT NULL, lease_until BIGINT NOT NULL, recipients TEXT NOT NULL,
                began_at BIGINT NOT NULL DEFAULT 0, dots TEXT NOT NULL DEFAULT '')
            """,
            "CREATE INDEX claims_domain ON claims (domain)",

            "CREATE TABLE domains (name TEXT PRIMARY KEY, created_at BIGINT NOT NULL)",
            "CREATE TABLE accounts (id {id}, address TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL, created_at BIGINT NOT NULL)",
            "CREATE TABLE aliases (address TEXT NOT NULL, target TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (address, target))",

            // uid is the recipient id: unique for ever, ascending.
            """
            CREATE TABLE maildrop_messages (
                account_id BIGINT NOT NULL, uid BIGINT NOT NULL, message_id BIGINT NOT NULL, size_bytes BIGINT NOT NULL,
                header TEXT NOT NULL, stored_at BIGINT NOT NULL, PRIMARY KEY (account_id, uid)) {without_rowid}
            """,
            "CREATE UNIQUE INDEX maildrop_messages_once ON maildrop_messages (account_id, message_id)",
            "CREATE TABLE maildrop_leases (account_id {id}, fence BIGINT NOT NULL, lease_until BIGINT NOT NULL)",

            // What an operator has switched on for all processes. A row is there as long as the switch is on.
            "CREATE TABLE switches (name TEXT PRIMARY KEY, since BIGINT NOT NULL, set_by TEXT NOT NULL)",

            // What operators did; action: see OperatorAction. subject: to what, in words. message_id 0: to no message. Rows stay.
            """
            CREATE TABLE operator_audit (
                id {id}, done_at BIGINT NOT NULL, done_by TEXT NOT NULL, host TEXT NOT NULL, action BIGINT NOT NULL, subject TEXT NOT NULL,
                message_id BIGINT NOT NULL, recipients BIGINT NOT NULL)
            """,
            "CREATE INDEX operator_audit_time ON operator_audit (done_at, id)",
            "CREATE INDEX operator_audit_message ON operator_audit (message_id)",

            // What only those who may read the store know.
            "CREATE TABLE secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        ],
        [
            // RET and ENVID as they stand in MAIL, or empty.
            "ALTER TABLE messages ADD COLUMN dsn TEXT NOT NULL DEFAULT ''",

            // notify: what its sender wants to be told of it, and what he has been or is still owed; see RecipientNotify. orcpt: ORCPT as it
            // stands in RCPT, or empty.
            "ALTER TABLE recipients ADD COLUMN notify BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE recipients ADD COLUMN orcpt TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE unreported ADD COLUMN orcpt TEXT NOT NULL DEFAULT ''",

            // Ended, and a report of success is owed.
            "CREATE INDEX recipients_owed ON recipients (id) WHERE (notify & 16) <> 0 AND state <> 0 AND state <> 5",

            // In place of a row of unrouted, where parameters about reports came with the envelope: who does not know of them leaves it alone.
            // parameters: those of MAIL, then those of each RCPT, one a line.
            "CREATE TABLE unrouted_dsn (message_id {id}, recipients TEXT NOT NULL, parameters TEXT NOT NULL)",

            // Reports that were made, or dropped because their reader has had too many lately. id: the report's message. message_id: about
            // which. told: whom, in lower case. kind: see ReportKind. recipients: how many it is about.
            """
            CREATE TABLE reports (
                id {id}, message_id BIGINT NOT NULL, told TEXT NOT NULL, kind BIGINT NOT NULL, recipients BIGINT NOT NULL,
                made_at BIGINT NOT NULL, is_dropped BIGINT NOT NULL)
            """,
            "CREATE INDEX reports_message ON reports (message_id)",
            "CREATE INDEX reports_told ON reports (told, made_at) WHERE is_dropped = 0",
        ],
        [
            // alias_of: the domain that this one stands for; empty: it has addresses of its own.
            "ALTER TABLE domains ADD COLUMN alias_of TEXT NOT NULL DEFAULT ''",
            // relay: where its mail goes when it has no maildrops here, as the operator wrote it, or 'mx'; empty: it has. relay_recipients:
            // see RelayRecipients.
            "ALTER TABLE domains ADD COLUMN relay TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE domains ADD COLUMN relay_recipients BIGINT NOT NULL DEFAULT 0",
        ],
        [
            // Keys for SCRAM, or empty; scram_hash: the password_hash they were made with. A program that does not know them and sets a
            // password changes that one alone, and so the keys of the old password no longer count.
            "ALTER TABLE accounts ADD COLUMN scram_keys TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE accounts ADD COLUMN scram_hash TEXT NOT NULL DEFAULT ''",
        ],
        [
            // The batch of the queue that the claim was won for; 0: won by a program before.
            "ALTER TABLE claims ADD COLUMN batch BIGINT NOT NULL DEFAULT 0",
            "CREATE INDEX claims_batch ON claims (batch)",
        ],
        [
            // timing: what MAIL said about time, or empty. release_at: its sender wants it to leave no earlier; 0: he does not. Its age counts
            // from then.
            "ALTER TABLE messages ADD COLUMN timing TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE messages ADD COLUMN release_at BIGINT NOT NULL DEFAULT 0",
            // priority: among others of its flow, the highest first.
            "ALTER TABLE messages ADD COLUMN priority BIGINT NOT NULL DEFAULT 0",

            // In place of a row of unrouted or unrouted_dsn, where MAIL said something about time, priority or REQUIRETLS: who does not know of that leaves it alone.
            // parameters: as in unrouted_dsn, or empty. Nobody routes it before release_at.
            """
            CREATE TABLE unrouted_timed (
                message_id {id}, recipients TEXT NOT NULL, parameters TEXT NOT NULL, release_at BIGINT NOT NULL)
            """,
            // When somebody has to look what became of a message: kind 1, what still waits is returned; 2, its sender is told of it. look_at: due_at,
            // or later where it was looked at in vain.
            "CREATE TABLE deadlines (message_id {id}, due_at BIGINT NOT NULL, kind BIGINT NOT NULL, look_at BIGINT NOT NULL)",
            "CREATE INDEX deadlines_look ON deadlines (look_at, message_id)",
            "CREATE INDEX unrouted_timed_release ON unrouted_timed (release_at, message_id)",
        ],
        [
            // 1: the next hop is asked whether it takes a recipient; relay_recipients is then that of a program that does not ask, and takes all.
            "ALTER TABLE domains ADD COLUMN relay_verify BIGINT NOT NULL DEFAULT 0",
        ],
        [
            // Who submitted it, as MAIL said (AUTH=) and as far as that is believed: a mailbox, or '<>'; empty: nothing was said.
            "ALTER TABLE messages ADD COLUMN submitter TEXT NOT NULL DEFAULT ''",
        ],
        [
            // Logins that failed lately, for all processes to pause by. who: a digest of name and network under a key of the store. A row is
            // there for an hour after the last failure, or until the name logs in there.
            "CREATE TABLE login_failures (who TEXT PRIMARY KEY, failures BIGINT NOT NULL, failed_at BIGINT NOT NULL)",
            "CREATE INDEX login_failures_time ON login_failures (failed_at)",
        ],
        [
            // Who was put off at first sight. triplet: a digest of client network, sender and recipient. passes: how often they came back in time.
            "CREATE TABLE greylist (triplet TEXT PRIMARY KEY, first_at BIGINT NOT NULL, passes BIGINT NOT NULL, expires_at BIGINT NOT NULL)",
            "CREATE INDEX greylist_expires ON greylist (expires_at)",
            // passes: how many triplets from there came back in time.
            "CREATE TABLE greylist_networks (network TEXT PRIMARY KEY, passes BIGINT NOT NULL, expires_at BIGINT NOT NULL)",
            "CREATE INDEX greylist_networks_expires ON greylist_networks (expires_at)",
        ],
        [
            // Client networks that nobody serves. set_by: an operator, or a rule of a limit.
            """
            CREATE TABLE bans (
                network TEXT PRIMARY KEY, since BIGINT NOT NULL, until_at BIGINT NOT NULL, set_by TEXT NOT NULL, reason TEXT NOT NULL)
            """,
            "CREATE INDEX bans_until ON bans (until_at)",
        ],
        [
            // tls: under what TLS it was made, and why; see AttemptTls. Empty: it was noted by a program before, or there was no host.
            "ALTER TABLE attempts ADD COLUMN tls TEXT NOT NULL DEFAULT ''",

            // MTA-STS policies (RFC 8461). record_id: the id in the TXT record when it was fetched. It holds until expires_at; who takes it from
            // refresh_at on fetches it anew, if it was used lately.
            """
            CREATE TABLE sts_policies (
                domain TEXT PRIMARY KEY, record_id TEXT NOT NULL, policy TEXT NOT NULL, fetched_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
                refresh_at BIGINT NOT NULL, used_at BIGINT NOT NULL)
            """,
            "CREATE INDEX sts_policies_refresh ON sts_policies (refresh_at, domain)",
            "CREATE INDEX sts_policies_expiry ON sts_policies (expires_at)",

            // Sessions by what became of them, for reports (RFC 8460). day: since 1970. kind: the type of the policy and a hash of its text. writer: the
            // process that counted them, in rows of its own.
            """
            CREATE TABLE tls_results (
                day BIGINT NOT NULL, domain TEXT NOT NULL, kind TEXT NOT NULL, result TEXT NOT NULL, host TEXT NOT NULL, address TEXT NOT NULL,
                writer BIGINT NOT NULL, policy TEXT NOT NULL, sessions BIGINT NOT NULL,
                PRIMARY KEY (day, domain, kind, result, host, address, writer)) {without_rowid}
            """,
        ],
        [
            // return_path: the sender that its hosts are given, where an alias leads a stranger's message to another system; empty: that of the message.
            "ALTER TABLE recipients ADD COLUMN return_path TEXT NOT NULL DEFAULT ''",
        ],
        [
            // Messages by how DMARC judged them, for reports (RFC 7489). day: since 1970. domain: whose record it was. judgement: the policy, the source and what was
            // found, or empty, with an empty kind: those that there was no room for. kind: a hash of it. writer: the process that counted them, in rows of its own.
            """
            CREATE TABLE dmarc_results (
                day BIGINT NOT NULL, domain TEXT NOT NULL, kind TEXT NOT NULL, writer BIGINT NOT NULL, judgement TEXT NOT NULL, messages BIGINT NOT NULL,
                PRIMARY KEY (day, domain, kind, writer)) {without_rowid}
            """,

            // Reports that were made of them. message_id: the report's own.
            """
            CREATE TABLE dmarc_sent (
                message_id {id}, day BIGINT NOT NULL, domain TEXT NOT NULL, recipient TEXT NOT NULL, report_id TEXT NOT NULL, row_count BIGINT NOT NULL,
                messages BIGINT NOT NULL, sent_at BIGINT NOT NULL)
            """,
            "CREATE INDEX dmarc_sent_time ON dmarc_sent (sent_at)",

            // Messages to addresses for reports, until somebody has looked what they say. tries: how often that was begun. due_at: when somebody is to look.
            "CREATE TABLE dmarc_unread (message_id {id}, tries BIGINT NOT NULL, due_at BIGINT NOT NULL DEFAULT 0)",
            "CREATE INDEX dmarc_unread_due ON dmarc_unread (due_at, message_id)",

            // What others report. id: the message's. report_key: a hash of domain, organisation, their name for it and who sent it, of which each is kept once. policy: what was asked
            // for. omitted: messages in rows that are not kept. is_proven: it is from whom it names to answer for it (DMARC).
            """
            CREATE TABLE dmarc_reports (
                id {id}, report_key TEXT NOT NULL UNIQUE, domain TEXT NOT NULL, organization TEXT NOT NULL, email TEXT NOT NULL, report_id TEXT NOT NULL,
                begin_at BIGINT NOT NULL, end_at BIGINT NOT NULL, received_at BIGINT NOT NULL, policy TEXT NOT NULL, row_count BIGINT NOT NULL,
                messages BIGINT NOT NULL, omitted BIGINT NOT NULL, is_proven BIGINT NOT NULL)
            """,
            "CREATE INDEX dmarc_reports_received ON dmarc_reports (received_at)",
            "CREATE INDEX dmarc_reports_end ON dmarc_reports (end_at)",

            // disposition: 0 none, 1 quarantine, 2 reject. dkim, spf: 1 where it passed for a domain that is aligned.
            """
            CREATE TABLE dmarc_report_rows (
                report BIGINT NOT NULL, number BIGINT NOT NULL, source TEXT NOT NULL, header_from TEXT NOT NULL, messages BIGINT NOT NULL,
                disposition BIGINT NOT NULL, dkim BIGINT NOT NULL, spf BIGINT NOT NULL, PRIMARY KEY (report, number)) {without_rowid}
            """,
        ],
        [
            // header_id: its field Message-ID, without brackets, or empty.
            "ALTER TABLE messages ADD COLUMN header_id TEXT NOT NULL DEFAULT ''",

            // By what a message is found again: a hash of its sender, of each address that it was sent to or led to, and of its Message-ID.
            "CREATE TABLE search_terms (term BIGINT NOT NULL, message_id BIGINT NOT NULL, PRIMARY KEY (term, message_id)) {without_rowid}",

            // worker: the process that made the attempt, and the address it spoke from, e.g. "delivery-7d4f[10.0.0.7]"; or empty.
            "ALTER TABLE attempts ADD COLUMN worker TEXT NOT NULL DEFAULT ''",
        ],
        [
            // What processes of Queue go by, for commands to say why something waits: settings, and endpoints of batches that are closed ('closed:' and the
            // name; value 1: the bus refuses them, 0: nobody consumes them). since: when it last changed.
            "CREATE TABLE queue_state (name TEXT PRIMARY KEY, value BIGINT NOT NULL, since BIGINT NOT NULL)",

            // What waits, as counted last where there is too much to count for each question. kind: by what, see WaitingBy. group_count: how many there were;
            // the largest of them are in queue_counts.
            """
            CREATE TABLE queue_counted (
                kind {id}, counted_at BIGINT NOT NULL, waiting BIGINT NOT NULL, being_tried BIGINT NOT NULL, group_count BIGINT NOT NULL)
            """,

            // due: those that nobody tries and whose time has come. next_at: the first time of the others, or 0. reason: see WaitKind, or 0. oldest: a
            // recipient's id. example: of one whose domain, or who himself, says what was last replied; 0: nobody.
            """
            CREATE TABLE queue_counts (
                kind BIGINT NOT NULL, group_key TEXT NOT NULL, waiting BIGINT NOT NULL, being_tried BIGINT NOT NULL, due BIGINT NOT NULL,
                next_at BIGINT NOT NULL, reason BIGINT NOT NULL, oldest BIGINT NOT NULL, example BIGINT NOT NULL,
                PRIMARY KEY (kind, group_key)) {without_rowid}
            """,
            "CREATE INDEX queue_counts_largest ON queue_counts (kind, waiting)",
        ],
        [
            // site: whose hosts the worker goes to, as far as its command said; else empty.
            "ALTER TABLE claims ADD COLUMN site TEXT NOT NULL DEFAULT ''",

            // Sites that are more than hosts that answer. epoch: of whoever gives out permits of a limited site; a command with another wins no claim; 0: there is no limit.
            // failures, rest_until, reason: as of a domain. The rest is for people, as of noted_at: connections: how many are allowed; held: how many there are; waiting: domains
            // that wait for one; limited_by: 'connections' or 'rate', or empty.
            """
            CREATE TABLE sites (
                site TEXT PRIMARY KEY, epoch BIGINT NOT NULL, failures BIGINT NOT NULL, rest_until BIGINT NOT NULL, reason TEXT NOT NULL,
                connections BIGINT NOT NULL, held BIGINT NOT NULL, waiting BIGINT NOT NULL, limited_by TEXT NOT NULL, noted_at BIGINT NOT NULL)
            """,
        ],
        [
            // reply_class: what it was about where it did not deliver; see ReplyClass. 0: nothing is said.
            "ALTER TABLE attempts ADD COLUMN reply_class BIGINT NOT NULL DEFAULT 0",
        ],
        [
            // Tokens by which programs come to the operator's acts: a digest of each. scopes: see ApiScopes. domain, account: what it is for; both empty: everything.
            // until_at, used_at: 0: never.
            """
            CREATE TABLE api_tokens (
                name TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, scopes BIGINT NOT NULL, domain TEXT NOT NULL, account TEXT NOT NULL, made_at BIGINT NOT NULL,
                made_by TEXT NOT NULL, until_at BIGINT NOT NULL, used_at BIGINT NOT NULL)
            """,

            // Answers to requests that came with a key. name, request: digests. status 0: it is being done.
            """
            CREATE TABLE api_answers (
                name TEXT PRIMARY KEY, request TEXT NOT NULL, began_at BIGINT NOT NULL, status BIGINT NOT NULL, location TEXT NOT NULL, type TEXT NOT NULL,
                body TEXT NOT NULL)
            """,
            "CREATE INDEX api_answers_began ON api_answers (began_at)",
        ],
        [
            // Senders that have a suppression list: an account, or a domain of reverse-paths. keep_for: how long who comes to it stays, in milliseconds; 0: for good.
            "CREATE TABLE suppression_senders (sender TEXT PRIMARY KEY, since BIGINT NOT NULL, keep_for BIGINT NOT NULL, set_by TEXT NOT NULL)",

            // Who is not sent mail of a sender. id: a hash of both. cause: see SuppressionCause. until_at: the largest number: for good.
            """
            CREATE TABLE suppressions (
                id {id}, sender TEXT NOT NULL, address TEXT NOT NULL, cause BIGINT NOT NULL, reason TEXT NOT NULL, since BIGINT NOT NULL,
                until_at BIGINT NOT NULL)
            """,
            "CREATE INDEX suppressions_sender ON suppressions (sender, address)",
            "CREATE INDEX suppressions_until ON suppressions (until_at)",
        ],
        [
            // What source addresses with a plan may send on a day. day: since 1970. messages: given out to processes so far, sent or not.
            """
            CREATE TABLE source_days (
                source TEXT NOT NULL, day BIGINT NOT NULL, messages BIGINT NOT NULL, PRIMARY KEY (source, day)) {without_rowid}
            """,
        ],
        [
            // sender: under which name the rate of its sender is kept in sites, where it has a permit of that; else empty.
            "ALTER TABLE claims ADD COLUMN sender TEXT NOT NULL DEFAULT ''",
        ],
        [
            // Who is told of outcomes, as Queue's settings say. kinds: of which, see EventKinds. seen_at: a process with these settings ran then; who is named by none for long is
            // forgotten. away_since: 0: he takes what he is sent; reason: else why not. dropped: events that were too old to be kept for him.
            """
            CREATE TABLE event_receivers (
                name TEXT PRIMARY KEY, kinds BIGINT NOT NULL, since BIGINT NOT NULL, seen_at BIGINT NOT NULL, away_since BIGINT NOT NULL DEFAULT 0,
                reason TEXT NOT NULL DEFAULT '', dropped BIGINT NOT NULL DEFAULT 0)
            """,

            // Events until their receiver has taken them. number: of the attempt; of a complaint one that no attempt has. kind, details: see OutcomeEvent. written_at: by the store's
            // clock. at: when it was known. next_at: of the next attempt, or 0.
            """
            CREATE TABLE event_outbox (
                recipient_id BIGINT NOT NULL, number BIGINT NOT NULL, receiver TEXT NOT NULL, kind BIGINT NOT NULL, details BIGINT NOT NULL, written_at BIGINT NOT NULL,
                at BIGINT NOT NULL, next_at BIGINT NOT NULL, status TEXT NOT NULL, reply TEXT NOT NULL, host TEXT NOT NULL, reply_class BIGINT NOT NULL,
                PRIMARY KEY (recipient_id, number, receiver)) {without_rowid}
            """,
            "CREATE INDEX event_outbox_order ON event_outbox (receiver, written_at, recipient_id, number)",

            // Messages to addresses for complaints, until somebody has looked what they say; as dmarc_unread.
            "CREATE TABLE feedback_unread (message_id {id}, tries BIGINT NOT NULL, due_at BIGINT NOT NULL DEFAULT 0)",
            "CREATE INDEX feedback_unread_due ON feedback_unread (due_at, message_id)",

            // That a recipient does not want the message, as his provider says (RFC 5965). report_id: the message that said so. reporter: the domain that it was from.
            """
            CREATE TABLE complaints (
                recipient_id {id}, report_id BIGINT NOT NULL, at BIGINT NOT NULL, feedback TEXT NOT NULL, source TEXT NOT NULL, reporter TEXT NOT NULL,
                original TEXT NOT NULL, host TEXT NOT NULL)
            """,
        ],
        [
            // What operators said of mail that waits. act: see RuleAct. domain to reply: what is asked for, see RuleConditions; empty or 0: nothing. text: what senders are told, or the
            // next hop. until_at, ended_at: 0: never, not yet. done, place: of what is done once, to how many, and how far it has come.
            """
            CREATE TABLE queue_rules (
                name TEXT PRIMARY KEY, act BIGINT NOT NULL, domain TEXT NOT NULL, site TEXT NOT NULL, sender TEXT NOT NULL, sender_domain TEXT NOT NULL,
                account TEXT NOT NULL, recipient TEXT NOT NULL, message_id BIGINT NOT NULL, older_ms BIGINT NOT NULL, reply TEXT NOT NULL, text TEXT NOT NULL,
                rate_milli BIGINT NOT NULL, until_at BIGINT NOT NULL, why TEXT NOT NULL, set_by TEXT NOT NULL, host TEXT NOT NULL, set_at BIGINT NOT NULL,
                ended_at BIGINT NOT NULL, done BIGINT NOT NULL, place TEXT NOT NULL)
            """,

            // One row. version: one more with each change of the rules. released: the last version with which one has ended, or may keep less back.
            "CREATE TABLE queue_rules_version (id {id}, version BIGINT NOT NULL, released BIGINT NOT NULL)",
            "INSERT INTO queue_rules_version (id, version, released) VALUES (1, 1, 1)",

            // held_version: of the rules that keep back all that is due of it; due_at is then when somebody looks again. 0: none do, as far as is known.
            "ALTER TABLE domain_queues ADD COLUMN held_version BIGINT NOT NULL DEFAULT 0",
            "CREATE INDEX domain_queues_held ON domain_queues (held_version) WHERE held_version > 0",
        ],
        [
            // is_trusted: 1: by a reporter whom the settings name; only such a complaint puts anybody on a suppression list.
            "ALTER TABLE complaints ADD COLUMN is_trusted BIGINT NOT NULL DEFAULT 0",
        ],
    ];
}
