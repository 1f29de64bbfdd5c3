using System.Globalization;

namespace MailPipeline.Testing;

/// <summary>Far ends of every temper that mail meets, with what must become of a recipient there.</summary>
/// <param name="Name">Of the temper.</param>
/// <param name="Outcome">Of every recipient there, in the end.</param>
/// <param name="Status">Of the notification when it bounces.</param>
public sealed record FarEnd(string Name, SinkScript Script, ExpectedOutcome Outcome = ExpectedOutcome.Delivered, string Status = "")
{
    /// <summary>Takes everything at once.</summary>
    public static FarEnd Good { get; } = new("good", SinkScript.AcceptAll);

    public static FarEnd Slow { get; } = new("slow", new() { AtDot = (_, _, _) => SinkStep.SlowAccept(TimeSpan.FromMilliseconds(100)) });

    /// <summary>Refuses each recipient for now when it sees it first.</summary>
    public static FarEnd Greylisting { get; } = new("greylist", new() { AtRecipient = (_, n) => n == 1 ? SinkStep.Defer : SinkStep.Accept });

    /// <summary>Refuses each message for now, twice, after its content.</summary>
    public static FarEnd Busy { get; } = new("busy", new() { AtDot = (_, _, n) => n <= 2 ? SinkStep.Defer : SinkStep.Accept });

    /// <summary>Knows nobody.</summary>
    public static FarEnd Rejecting { get; } = new("reject", new() { AtRecipient = (_, _) => SinkStep.Reject }, ExpectedOutcome.Bounced, "5.1.1");

    /// <summary>Refuses each message for good after its content.</summary>
    public static FarEnd RejectingContent { get; } = new("rejectdot", new() { AtDot = (_, _, _) => new("554 5.7.1 Not here") }, ExpectedOutcome.Bounced, "5.7.1");

    /// <summary>Says nothing after the dot of some messages, at first, so that the rest of the domain's mail moves between.</summary>
    public static FarEnd Hanging { get; } = new("hang", new() { AtDot = (_, token, n) => n == 1 && IsOneOf(token, 10) ? SinkStep.Hang : SinkStep.Accept });

    /// <summary>Closes after the dot of some messages, at first.</summary>
    public static FarEnd Closing { get; } = new("close", new() { AtDot = (_, token, n) => n == 1 && IsOneOf(token, 5) ? SinkStep.Close : SinkStep.Accept });

    /// <summary>Has no time for every third connection.</summary>
    public static FarEnd ShuttingDown { get; } = new("shutdown", new() { AtConnect = n => n % 3 == 0 ? SinkStep.ShutDown : new("220 sink.example") });

    public static IReadOnlyList<FarEnd> All { get; } =
        [Good, Slow, Greylisting, Busy, Rejecting, RejectingContent, Hanging, Closing, ShuttingDown];

    public ExpectedRecipient Expect(string address) => new(address, Outcome, Status);

    // Tokens are "t" and a number; the null token of a notification is not chosen.
    private static bool IsOneOf(string token, int share) =>
        token.Length > 1 && int.Parse(token[1..], CultureInfo.InvariantCulture) % share == 0;
}
