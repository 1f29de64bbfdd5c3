using System.Globalization;
using System.Net.Sockets;
using System.Security.Authentication;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// Says in one sentence, with host and address, why a connection could not be made or did not last: as operators and senders read it.
/// </summary>
internal static class ConnectionFault
{
    /// <summary>What OpenSSL and .NET say of a handshake, at most.</summary>
    private const int LongestDetail = 200;

    /// <param name="peer">For example "mx.example.net[192.0.2.1]:25".</param>
    public static string OfConnect(SocketException error, string peer) => error.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => $"{peer} refused the connection",
        SocketError.ConnectionReset => $"{peer} reset the connection without a greeting",
        SocketError.TimedOut => $"{peer} timed out: no answer to the connection",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.HostDown or SocketError.NetworkDown => $"No route to {peer}",
        SocketError.AccessDenied => $"A firewall of this machine forbids the connection to {peer}",
        SocketError.AddressFamilyNotSupported or SocketError.ProtocolFamilyNotSupported or SocketError.ProtocolNotSupported =>
            $"This machine lacks the protocol for {peer}",
        SocketError.AddressNotAvailable or SocketError.AddressAlreadyInUse => $"This machine has no address or port left to reach {peer} from",
        SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable => $"This machine has too many connections open to make one to {peer}",
        var other => $"Cannot connect to {peer}: {other}",
    };

    public static string ConnectTimeout(string peer, TimeSpan time) => $"{peer} timed out: no answer to the connection within {Span(time)}";

    /// <param name="missing">What was waited for: "greeting", "answer to MAIL".</param>
    /// <param name="begun">What has come of it, in one line; null: nothing.</param>
    /// <param name="cause">Null: the far end has closed the connection in order.</param>
    public static string Lost(string peer, string missing, string? begun, Exception? cause) => begun is null
        ? $"{peer} {Ended(cause)} without {Article(missing)} {missing}"
        : $"{peer} {Ended(cause)} before the end of its {missing}, which began: {begun}";

    /// <param name="doing">What was under way: "the TLS handshake".</param>
    public static string LostDuring(string peer, string doing, Exception cause) => cause is AuthenticationException
        ? $"{peer}: {doing} failed: {Innermost(cause)}"
        : $"{peer} {Ended(cause)} during {doing}";

    /// <param name="what">What did not happen in time: "no answer to MAIL".</param>
    public static string Timeout(string peer, string what, TimeSpan time) => $"{peer} timed out: {what} within {Span(time)}";

    /// <summary>The batch's time was over, or others waited for the connection.</summary>
    /// <param name="time">How long it has lasted.</param>
    public static string GivenUp(string peer, string what, TimeSpan time) =>
        $"{Timeout(peer, what, TimeSpan.FromSeconds(Math.Round(time.TotalSeconds)))} (given up early)";

    /// <param name="time">Since the transaction began.</param>
    public static string TooSlow(string peer, long takenBytes, long ofBytes, TimeSpan time) =>
        $"{peer} was too slow: it took {Units.Size(takenBytes)} of {Units.Size(ofBytes)} in {Span(time)}";

    /// <summary>The time as people say it: "30 s", "5 min".</summary>
    public static string Span(TimeSpan time) => time < TimeSpan.FromMinutes(2)
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.###} s")
        : string.Create(CultureInfo.InvariantCulture, $"{time.TotalMinutes:0.#} min");

    private static string Article(string noun) => noun[0] is 'a' or 'e' or 'i' or 'o' or 'u' ? "an" : "a";

    private static string Ended(Exception? cause)
    {
        for (var error = cause; error is not null; error = error.InnerException)
        {
            if (error is SocketException socket)
            {
                return socket.SocketErrorCode switch
                {
                    SocketError.ConnectionReset or SocketError.ConnectionAborted => "reset the connection",
                    // Written to after the far end had closed.
                    SocketError.Shutdown => "closed the connection",
                    SocketError.TimedOut or SocketError.HostUnreachable or SocketError.NetworkUnreachable => "is not reached any more",
                    var other => $"lost the connection ({other})",
                };
            }
        }

        return "closed the connection";
    }

    /// <summary>The cause that OpenSSL names, without its number and library: "unsupported protocol".</summary>
    private static string Innermost(Exception error)
    {
        while (error.InnerException is { } inner)
            error = inner;
        var text = error.Message;
        var library = text.LastIndexOf("::", StringComparison.Ordinal);
        return PlainText.Line((library < 0 ? text : text[(library + 2)..]).Trim(), LongestDetail);
    }
}
