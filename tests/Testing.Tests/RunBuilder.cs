namespace MailPipeline.Testing.Tests;

/// <summary>Writes the records of an imagined run, a clean one unless told otherwise.</summary>
internal sealed class RunBuilder
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly List<LedgerRecord> _records = [];
    private int _notifications;

    public IReadOnlyList<LedgerRecord> Records => _records;

    private DateTimeOffset Now => Start.AddSeconds(_records.Count);

    public static string HashOf(string token) => "hash-of-" + token;

    /// <summary>An attempt to hand in a message and its answer; 0 is none.</summary>
    public RunBuilder Send(
        string token, int reply = 250, int attempt = 1, string sender = "sender@example.org", int[]? rcpt = null, bool dotSent = true, string ret = "", int size = 1000,
        params ExpectedRecipient[] to)
    {
        if (to.Length == 0)
            to = [new("user@example.com")];
        _records.Add(new Intent(Now, token, attempt, sender, to, HashOf(token), size, ret));
        _records.Add(new Answer(Now, token, attempt, rcpt ?? [.. to.Select(_ => 250)], reply, dotSent, ""));
        return this;
    }

    public RunBuilder Arrive(string token, string to = "user@example.com", string? hash = null, bool answered = true)
    {
        _records.Add(new Arrival(Now, "sink", token, "sender@example.org", [to], hash ?? HashOf(token), 1200, answered, null));
        return this;
    }

    public RunBuilder Bounce(
        string token, string about = "user@example.com", string status = "5.1.1", string to = "sender@example.org", string? id = null, string action = "failed",
        bool returnsAll = false, params string[] others)
    {
        var dsn = new DsnReport(
            id ?? $"dsn-{++_notifications}", token, [new(about, action, status, ""), .. others.Select(other => new DsnRecipient(other, action, status, ""))], returnsAll);
        _records.Add(new Arrival(Now, "sink", "", "", [to], "", 2000, true, dsn));
        return this;
    }

    /// <summary>A notification that it went well.</summary>
    public RunBuilder Report(string token, string action = "relayed", string status = "2.0.0", string about = "user@example.com", string? id = null, bool returnsAll = false) =>
        Bounce(token, about, status, id: id, action: action, returnsAll: returnsAll);

    public RunBuilder List(int session, params string[] uids)
    {
        _records.Add(new MaildropListed(Now, "user@example.com", session, uids));
        return this;
    }

    public RunBuilder Read(int session, string uid, string token, string? hash = null)
    {
        _records.Add(new MaildropRead(Now, "user@example.com", session, uid, token, hash ?? HashOf(token), 1200, null));
        return this;
    }

    public RunBuilder ReadFails(int session, string uid, string reply = "-ERR")
    {
        _records.Add(new MaildropReadFailed(Now, "user@example.com", session, uid, reply));
        return this;
    }

    public RunBuilder Delete(int session, QuitOutcome quit, params string[] uids)
    {
        _records.Add(new MaildropDeleted(Now, "user@example.com", session, uids, quit));
        return this;
    }

    public IReadOnlyList<Violation> Check(int duplicateBudget = 0, int? uncertain = null, IReadOnlyList<string>? inDoubt = null) =>
        LedgerChecker.Check(new() { Records = Records, DuplicateBudget = duplicateBudget, UncertainCounted = uncertain, UncertainRecipients = inDoubt });

    /// <summary>The findings by kind, in a fixed order.</summary>
    public IEnumerable<ViolationKind> Kinds(int duplicateBudget = 0, int? uncertain = null) =>
        Check(duplicateBudget, uncertain).Select(v => v.Kind).Order();
}
