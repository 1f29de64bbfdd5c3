namespace MailPipeline.Testing;

/// <summary>What a scripted far end does at one point of a dialogue.</summary>
/// <param name="Reply">The reply line; empty when none is given.</param>
/// <param name="Then">What happens to the connection after it.</param>
/// <param name="After">Waited first.</param>
/// <param name="When">Waited for, too.</param>
public sealed record SinkStep(string Reply, SinkEnd Then = SinkEnd.GoOn, TimeSpan After = default, Task? When = null)
{
    /// <summary>250 at RCPT; at the dot: kept, then 250.</summary>
    public static SinkStep Accept { get; } = new("250 2.0.0 OK");

    /// <summary>Says nothing and keeps the connection open until the other side gives up.</summary>
    public static SinkStep Hang { get; } = new("", SinkEnd.Hang);

    /// <summary>Closes the connection without a word.</summary>
    public static SinkStep Close { get; } = new("", SinkEnd.Close);

    /// <summary>421 and the connection closes (RFC 5321 §3.8).</summary>
    public static SinkStep ShutDown { get; } = new("421 4.3.2 Going down", SinkEnd.Close);

    public static SinkStep Defer { get; } = new("451 4.7.1 Try again later");

    public static SinkStep Reject { get; } = new("550 5.1.1 No such user");

    public static SinkStep SlowAccept(TimeSpan after) => Accept with { After = after };

    /// <summary>As late as the test says.</summary>
    public static SinkStep AcceptWhen(Task when) => Accept with { When = when };

    public bool IsAccepted => Reply.StartsWith('2');
}

/// <summary>What becomes of the connection after a <see cref="SinkStep"/>.</summary>
public enum SinkEnd
{
    GoOn,
    Close,
    Hang,
}

/// <summary>
/// The script of a far end: what it does at the greeting, at each recipient and at the dot. The numbers count from 1, per
/// recipient and per message, so that a script can say "refused twice, then taken".
/// </summary>
public sealed record SinkScript
{
    public Func<int, SinkStep> AtConnect { get; init; } = _ => new("220 sink.example ESMTP");

    /// <summary>By recipient and how often it was tried.</summary>
    public Func<string, int, SinkStep> AtRecipient { get; init; } = (_, _) => SinkStep.Accept;

    /// <summary>
    /// By the accepted recipients, the message's token and how often that message came to its end of data here.
    /// </summary>
    public Func<IReadOnlyList<string>, string, int, SinkStep> AtDot { get; init; } = (_, _, _) => SinkStep.Accept;

    /// <summary>Takes everything.</summary>
    public static SinkScript AcceptAll { get; } = new();
}
