using System.Text.RegularExpressions;
using MailPipeline.LineServer;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Ingress.Filters;

/// <summary>A program beside us that looks at mail and says what becomes of it. Section "Ingress:Filters:N", in the order in which they are asked.</summary>
public sealed partial class FilterOptions
{
    /// <summary>In the log, in metrics, and in reasons to hold; the client does not hear it.</summary>
    public string Name { get; set; } = "";

    /// <summary>What it speaks. Default Milter.</summary>
    public FilterProtocol Protocol { get; set; }

    /// <summary>
    /// Where it listens: of a Milter host:port with an IP address, or the full path of a Unix socket; of Rspamd http://host:port.
    /// </summary>
    public string Address { get; set; } = "";

    /// <summary>On which listeners it is asked. Default Mx.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.Mx;

    /// <summary>What becomes of mail while it is away, says nothing in time, or what is none of its protocol. Default Defer.</summary>
    public FilterAwayPolicy WhenAway { get; set; }

    /// <summary>
    /// It may change and remove fields that came with a message. Default false: what was received stays as it came. The header is then kept back
    /// until the message has ended (up to 16 KiB of whole fields; one that is longer stays as it came).
    /// </summary>
    public bool ChangesHeaders { get; set; }

    /// <summary>Longest wait for a connection. Default 5 s.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest wait for an answer within a message. Default 10 s.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Longest wait for the answer to a message; a Milter that says it is at work gets as long again, five times in all. Default 60 s: a client waits ten
    /// minutes (RFC 5321 §4.5.3.2.6).
    /// </summary>
    public TimeSpan MessageTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Longest that a message waits for it in all, from MAIL to the answer to its end; then it is away. Default 5 min: a client waits three for each piece of
    /// the content and ten for the reply to its end (RFC 5321 §4.5.3.2), and one that takes its time for each field and each piece would have no end.
    /// </summary>
    public TimeSpan MaxTime { get; set; } = TimeSpan.FromMinutes(5);

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        if (!NameForm().IsMatch(Name))
            failures.Add($"{setting}:Name is '{Name}'; it must be 1 to 40 letters, digits, '-', '.' and '_'");
        if (!Enum.IsDefined(Protocol))
            failures.Add($"{setting}:Protocol is {Protocol}; it must be one of {string.Join(", ", Enum.GetNames<FilterProtocol>())}");
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        if (!Enum.IsDefined(WhenAway))
            failures.Add($"{setting}:WhenAway is {WhenAway}; it must be one of {string.Join(", ", Enum.GetNames<FilterAwayPolicy>())}");
        if (Protocol == FilterProtocol.Rspamd)
        {
            if (!Uri.TryCreate(Address, UriKind.Absolute, out var uri) || uri.Scheme != Uri.UriSchemeHttp || uri.PathAndQuery != "/")
                failures.Add($"{setting}:Address is '{Address}'; it must be like http://127.0.0.1:11333");
        }
        else if (!ListeningSocket.IsPath(Address) && !(HostAddress.TrySplitPort(Address, 0, out var host, out var port) && port > 0 && HostAddress.TryParse(host, out _)))
        {
            failures.Add($"{setting}:Address is '{Address}'; it must be an IP address and a port, such as 127.0.0.1:11332, or the full path of a Unix socket");
        }

        RequireTime(nameof(ConnectTimeout), ConnectTimeout, TimeSpan.FromMinutes(1));
        RequireTime(nameof(Timeout), Timeout, TimeSpan.FromMinutes(5));
        RequireTime(nameof(MessageTimeout), MessageTimeout, TimeSpan.FromMinutes(5));
        RequireTime(nameof(MaxTime), MaxTime, TimeSpan.FromMinutes(10));

        void RequireTime(string name, TimeSpan time, TimeSpan most)
        {
            if (time < TimeSpan.FromMilliseconds(50) || time > most)
                failures.Add($"{setting}:{name} is {time}; it must be {TimeSpan.FromMilliseconds(50)} to {most}");
        }
    }

    [GeneratedRegex(@"^[A-Za-z0-9._-]{1,40}\z")]
    private static partial Regex NameForm();
}

/// <summary>What a filter speaks.</summary>
public enum FilterProtocol
{
    /// <summary>Sendmail's, version 6.</summary>
    Milter,

    /// <summary>Rspamd's, by HTTP (/checkv2).</summary>
    Rspamd,
}

/// <summary>What becomes of mail that a filter does not judge.</summary>
public enum FilterAwayPolicy
{
    /// <summary>451 4.7.1, and the sender's host tries again.</summary>
    Defer,

    /// <summary>It is taken without that filter.</summary>
    Accept,
}
