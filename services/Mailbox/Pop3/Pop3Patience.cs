using MailPipeline.LineServer;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// How long the client of one session is waited for: some minutes between commands once it has logged in (RFC 1939 §3), and less before,
/// when the login as a whole has an end as well, which comes sooner while few places are left.
/// </summary>
internal sealed class Pop3Patience(MailboxOptions options, TimeProvider time) : IClientPatience
{
    /// <summary>So many login time-outs are all the time that a client has until it is logged in; one, while few places are left.</summary>
    private const int LoginTimeouts = 5;

    private readonly long _startedAt = time.GetTimestamp();

    /// <summary>Nobody shortens the time of who has logged in.</summary>
    public bool IsLoggedIn { get; set; }

    /// <summary>RFC 1939 §3: a command restarts the timer, octets do not.</summary>
    public WaitEnd ForCommand() => IsLoggedIn
        ? WaitEnd.In(time, options.InactivityTimeout)
        : new(
            Math.Min(WaitEnd.After(time, options.LoginTimeout), _startedAt + WaitEnd.Ticks(time, LoginTimeouts * options.LoginTimeout)),
            _startedAt + WaitEnd.Ticks(time, options.LoginTimeout));

    /// <summary>What is taken of an answer restarts the timer too: a long message may take longer than one wait.</summary>
    public WaitEnd ForReplies() => ForCommand();
}
