using MailPipeline.Dns;

namespace MailPipeline.Authentication.Dkim;

/// <summary>
/// The records of keys that one message needs, each asked for once. Questions begin when the header has been read, and are answered while the body
/// still comes. Used by one caller at a time.
/// </summary>
/// <param name="records">Those that were read before.</param>
internal sealed class PublishedKeys(KeyRecords records)
{
    private readonly Dictionary<string, Task<DnsAnswer<TxtRecord>>> _answers = new(StringComparer.Ordinal);

    public KeyRecords Records => records;

    /// <summary>Puts the questions that were not put yet.</summary>
    /// <param name="cancellation">Ends the wait for all of them, and is no error: what is not known then is not known.</param>
    public void Ask(IEnumerable<string> names, IDnsLookup dns, CancellationToken cancellation)
    {
        foreach (var name in names)
        {
            if (!_answers.ContainsKey(name))
                _answers.Add(name, AskAsync(name, dns, cancellation));
        }
    }

    /// <summary>The answer about a name that was asked for.</summary>
    public async Task<DnsAnswer<TxtRecord>> FindAsync(string name, CancellationToken cancellation)
    {
        try
        {
            return await _answers[name].WaitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            return NotInTime;
        }
    }

    private static DnsAnswer<TxtRecord> NotInTime => DnsAnswer.Failure<TxtRecord>("There was no answer in time.");

    private static async Task<DnsAnswer<TxtRecord>> AskAsync(string name, IDnsLookup dns, CancellationToken cancellation)
    {
        try
        {
            return await dns.TxtAsync(name, cancellation);
        }
        catch (OperationCanceledException)
        {
            return NotInTime;
        }
    }
}
