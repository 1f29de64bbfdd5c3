using System.Buffers;

namespace MailPipeline.LineServer;

/// <summary>
/// One listener, and the protocol that is spoken there: what its connections share, and what the protocol says and counts at the
/// beginning and the end of each. Called from many connections at once.
/// </summary>
public abstract class LineListener
{
    protected LineListener(SessionPlaces places, bool hasImplicitTls, TimeSpan tlsTimeout, IReadOnlyCollection<string> proxyProtocolFrom)
    {
        Places = places;
        HasImplicitTls = hasImplicitTls;
        TlsTimeout = tlsTimeout;
        Balancers = proxyProtocolFrom.Count == 0 ? null : new ClientNetworks(proxyProtocolFrom);
    }

    public SessionPlaces Places { get; }

    /// <summary>TLS is there from the first octet (RFC 8314 §3).</summary>
    public bool HasImplicitTls { get; }

    /// <summary>Longest TLS handshake, and longest wait for a client that is turned away to take its reply.</summary>
    public TimeSpan TlsTimeout { get; }

    /// <summary>The load balancers that name their client by the PROXY protocol; null where there are none.</summary>
    internal ClientNetworks? Balancers { get; }

    /// <summary>A client has a place: its session begins. TLS, where it comes first, is put on before it runs.</summary>
    public abstract ILineSession Begin(LineConnection connection);

    /// <summary>Writes what is said to who is one too many; never asked for where TLS comes first.</summary>
    public abstract void WriteTooMany(IBufferWriter<byte> output);

    /// <summary>A client has found no place.</summary>
    /// <param name="limit">The limit that is reached: total or address.</param>
    public abstract void TurnedAway(LineConnection connection, string limit);

    /// <summary>A handshake has failed; the session ends with <see cref="SessionEnd.TlsFailed"/>.</summary>
    public abstract void TlsFailed(LineConnection connection, Exception failure);

    /// <summary>A session that has begun is over.</summary>
    /// <param name="failure">What was thrown, where the client went away or we have a bug; null otherwise.</param>
    public abstract void Ended(LineConnection connection, SessionEnd end, Exception? failure);
}

/// <summary>One dialogue: what a protocol does with the lines of one connection.</summary>
public interface ILineSession
{
    IClientPatience Patience { get; }

    /// <summary>Speaks until one side ends it. An I/O exception means that the client is gone; any other is a bug.</summary>
    Task<SessionEnd> RunAsync();
}

/// <summary>Why a session ended.</summary>
public enum SessionEnd
{
    /// <summary>The client said that it is done.</summary>
    Quit,

    /// <summary>The client went away.</summary>
    Disconnected,

    TimedOut,

    /// <summary>We are shutting down.</summary>
    Stopped,

    TlsFailed,

    /// <summary>Nobody knows what became of what the client asked for: closed without a reply.</summary>
    OutcomeUnknown,

    /// <summary>Over a limit of the protocol.</summary>
    Refused,

    Bug,
}
