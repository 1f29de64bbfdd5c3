using MailPipeline.Mail;

namespace MailPipeline.Queue.Policies;

/// <summary>
/// What replies are about, as far as that is built in: the table of it. Words of which there is no doubt come first, because many hosts say 5.7.1 or 4.7.1
/// to all that they do not like; then the enhanced status (RFC 3463 and IANA's registry of it), then words again, and at last the code of the reply. Where
/// nobody replied the words are our own, and their status says all.
/// </summary>
internal static class ReplyClasses
{
    /// <summary>They say more than any status, in this order.</summary>
    private static readonly (ReplyClass Class, string[] Words)[] s_words =
    [
        (ReplyClass.Rate,
        [
            "rate limit", "rate-limit", "ratelimit", "throttl", "too many connections", "too many concurrent", "too many simultaneous", "too many sessions",
            "too many messages", "too much mail", "connection limit", "connection rate", "unusual rate", "slow down", "server busy",
        ]),
        (ReplyClass.Reputation,
        [
            "spamhaus", "spamcop", "barracudacentral", "dnsbl", "blocklist", "block list", "blacklist", "black list", "reputation", "senderscore", "sender score",
        ]),
        (ReplyClass.Quota, ["over quota", "overquota", "quota exceeded", "exceeded quota", "mailbox full", "mailbox is full", "out of storage"]),
        (ReplyClass.Policy, ["greylist", "graylist", "dmarc", "dkim", " spf ", "relaying denied", "relay access denied", "relay not permitted"]),
        (ReplyClass.Tls, ["starttls"]),
    ];

    /// <summary>By subject and detail, whether the class is 4 or 5.</summary>
    private static readonly Dictionary<(int Subject, int Detail), ReplyClass> s_statuses = new()
    {
        [(1, 1)] = ReplyClass.Mailbox,
        [(1, 2)] = ReplyClass.Domain,
        // Of the sender.
        [(1, 7)] = ReplyClass.Policy,
        [(1, 8)] = ReplyClass.Policy,
        // Null MX (RFC 7505).
        [(1, 10)] = ReplyClass.Domain,
        [(2, 1)] = ReplyClass.Mailbox,
        [(2, 2)] = ReplyClass.Quota,
        [(2, 3)] = ReplyClass.Content,
        [(2, 4)] = ReplyClass.Other,
        [(3, 1)] = ReplyClass.Quota,
        [(3, 3)] = ReplyClass.Protocol,
        [(3, 4)] = ReplyClass.Content,
        // No route, and a loop.
        [(4, 4)] = ReplyClass.Domain,
        [(4, 6)] = ReplyClass.Domain,
        [(4, 5)] = ReplyClass.Rate,
        // A time has passed.
        [(4, 7)] = ReplyClass.Other,
        // Too many recipients.
        [(5, 3)] = ReplyClass.Rate,
        // It needs SMTPUTF8 (RFC 6531).
        [(6, 7)] = ReplyClass.Protocol,
        [(7, 4)] = ReplyClass.Tls,
        [(7, 5)] = ReplyClass.Tls,
        [(7, 6)] = ReplyClass.Tls,
        [(7, 7)] = ReplyClass.Content,
        [(7, 10)] = ReplyClass.Tls,
        [(7, 11)] = ReplyClass.Tls,
        // The name of our address (RFC 7372).
        [(7, 25)] = ReplyClass.Reputation,
        [(7, 28)] = ReplyClass.Rate,
        // REQUIRETLS (RFC 8689).
        [(7, 30)] = ReplyClass.Tls,
    };

    /// <summary>They say what a status of no detail does not.</summary>
    private static readonly (ReplyClass Class, string[] Words)[] s_vagueWords =
    [
        (ReplyClass.Content, ["spam", "virus", "malware", "phish", "message size", "message too large", "too big", "attachment"]),
        (ReplyClass.Mailbox,
        [
            "no such user", "user unknown", "unknown user", "no such recipient", "unknown recipient", "invalid recipient", "no such mailbox", "mailbox not found",
            "mailbox unavailable", "no mailbox here", "account disabled", "account is disabled", "user not found", "recipient not found",
        ]),
        (ReplyClass.Policy, ["not authorized", "access denied", "authentication required", "policy"]),
    ];

    /// <summary>Where a detail is not in the table.</summary>
    private static readonly Dictionary<int, ReplyClass> s_subjects = new()
    {
        [1] = ReplyClass.Mailbox, [2] = ReplyClass.Mailbox, [3] = ReplyClass.Other, [4] = ReplyClass.Network, [5] = ReplyClass.Protocol, [6] = ReplyClass.Content,
        [7] = ReplyClass.Policy,
    };

    /// <summary>RFC 5321 §4.2.3, RFC 7504, RFC 4954.</summary>
    private static readonly Dictionary<int, ReplyClass> s_codes = new()
    {
        [450] = ReplyClass.Mailbox, [452] = ReplyClass.Quota, [455] = ReplyClass.Protocol, [500] = ReplyClass.Protocol, [501] = ReplyClass.Protocol,
        [502] = ReplyClass.Protocol, [503] = ReplyClass.Protocol, [504] = ReplyClass.Protocol, [521] = ReplyClass.Domain, [530] = ReplyClass.Policy,
        [535] = ReplyClass.Policy, [538] = ReplyClass.Tls, [550] = ReplyClass.Mailbox, [551] = ReplyClass.Mailbox, [552] = ReplyClass.Quota,
        [553] = ReplyClass.Mailbox, [554] = ReplyClass.Policy, [555] = ReplyClass.Protocol, [556] = ReplyClass.Domain,
    };

    /// <param name="status">As it is recorded, e.g. "4.7.1".</param>
    /// <param name="reply">In one line, beginning with its code; else our own words.</param>
    public static ReplyClass Of(string status, string reply) => Find(status, reply) ?? OfCode(reply);

    /// <summary>By what the reply says beside its code; null: nothing.</summary>
    public static ReplyClass? Find(string status, string reply)
    {
        var code = CodeOf(reply);
        if (code is not null && Find(s_words, reply) is { } plain)
            return plain;
        var (kind, subject, detail) = Parse(status);
        if (s_statuses.TryGetValue((subject, detail), out var known))
            return known;
        // Large providers count there what they think of us.
        if (subject == 7 && detail >= 500)
            return kind == 4 ? ReplyClass.Rate : detail < 700 ? ReplyClass.Reputation : ReplyClass.Policy;
        if (code is not null && (detail == 0 || subject is 0 or 7) && Find(s_vagueWords, reply) is { } vague)
            return vague;
        return s_subjects.TryGetValue(subject, out var ofSubject) ? ofSubject : null;
    }

    /// <summary>By the code of the reply alone.</summary>
    public static ReplyClass OfCode(string reply) => CodeOf(reply) is { } said && s_codes.TryGetValue(said, out var ofCode) ? ofCode : ReplyClass.Other;

    private static ReplyClass? Find((ReplyClass Class, string[] Words)[] table, string reply)
    {
        foreach (var (kind, words) in table)
        {
            if (Array.Exists(words, words => reply.Contains(words, StringComparison.OrdinalIgnoreCase)))
                return kind;
        }
        return null;
    }

    private static int? CodeOf(string reply) =>
        reply is [>= '4' and <= '5', >= '0' and <= '9', >= '0' and <= '9'] or [>= '4' and <= '5', >= '0' and <= '9', >= '0' and <= '9', ' ' or '-', ..]
            ? ((reply[0] - '0') * 100) + ((reply[1] - '0') * 10) + (reply[2] - '0') : null;

    /// <summary>Zeros where it is none.</summary>
    private static (int Class, int Subject, int Detail) Parse(string status)
    {
        var parts = status.Split('.');
        return parts.Length == 3 && int.TryParse(parts[0], out var kind) && int.TryParse(parts[1], out var subject) && int.TryParse(parts[2], out var detail)
            ? (kind, subject, detail) : default;
    }
}
