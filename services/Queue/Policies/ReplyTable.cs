using MailPipeline.Mail;

namespace MailPipeline.Queue.Policies;

/// <summary>What an attempt that did not deliver was about, and what an operator says shall follow it.</summary>
/// <param name="Then">Null: what the reply says.</param>
/// <param name="RetrySteps">Empty: those of the recipient's schedule.</param>
/// <param name="IsGuess">Nothing but the code of the reply says so, with which hosts say many things.</param>
internal readonly record struct ReplyVerdict(ReplyClass Class, ReplyThen? Then, IReadOnlyList<TimeSpan> RetrySteps, bool IsGuess = false);

/// <summary>What replies mean: the first of the operator's entries that fits, else what is built in (<see cref="ReplyClasses"/>). Never changes.</summary>
internal sealed class ReplyTable
{
    private readonly Entry[] _entries;

    public ReplyTable(IEnumerable<ReplyOptions> entries) =>
        _entries = [.. entries.Select(entry => new Entry(entry.Host.ToLowerInvariant(), entry.Text, new(entry.Class!.Value, entry.Then, entry.RetrySteps)))];

    public ReplyVerdict Of(AttemptResult result)
    {
        if (_entries.Length > 0)
        {
            var host = HostOf(result.RemoteHost);
            foreach (var entry in _entries)
            {
                if (entry.Fits(host, result.Reply))
                    return entry.Verdict;
            }
        }
        var known = ReplyClasses.Find(result.Status, result.Reply);
        return new(known ?? ReplyClasses.OfCode(result.Reply), Then: null, [], IsGuess: known is null);
    }

    /// <summary>Given "mx.example.net[192.0.2.1]:25", or an address alone.</summary>
    private static string HostOf(string remoteHost)
    {
        var bracket = remoteHost.IndexOf('[', StringComparison.Ordinal);
        return (bracket > 0 ? remoteHost[..bracket] : remoteHost.Trim('[', ']')).ToLowerInvariant();
    }

    private sealed record Entry(string Host, string Text, ReplyVerdict Verdict)
    {
        public bool Fits(string host, string reply) => FitsHost(host) && reply.Contains(Text, StringComparison.OrdinalIgnoreCase);

        private bool FitsHost(string host) => Host switch
        {
            "" or "*" => true,
            ['*', '.', ..] => host.EndsWith(Host[1..], StringComparison.Ordinal),
            _ => host == Host,
        };
    }
}
