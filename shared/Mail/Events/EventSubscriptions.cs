using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Who is told of which outcomes, as this process knows it: whoever records one asks here, and writes nothing where nobody is to be told.</summary>
public sealed class EventSubscriptions(MailDatabase database)
{
    private static readonly Statement s_read = new("SELECT name, kinds FROM event_receivers ORDER BY name");

    private static readonly EventKind[] s_kinds = Enum.GetValues<EventKind>();

    private volatile string[][] _receivers = NoneOf;

    // By the number of the kind.
    private static string[][] NoneOf => [.. Enumerable.Repeat(Array.Empty<string>(), (int)s_kinds.Max() + 1)];

    /// <summary>Reads them anew.</summary>
    public async Task ReadAsync(CancellationToken cancellationToken)
    {
        var all = await database.QueryAsync(s_read, r => (Name: r.GetString(0), Kinds: r.GetInt64(1)), cancellationToken);
        var receivers = NoneOf;
        foreach (var kind in s_kinds)
            receivers[(int)kind] = [.. all.Where(one => (one.Kinds & BitOf(kind)) != 0).Select(one => one.Name)];
        _receivers = receivers;
    }

    /// <summary>As the kinds of a receiver are stored.</summary>
    internal static long BitOf(EventKind kind) => 1L << (int)kind;

    internal string[] Of(EventKind kind) => _receivers[(int)kind];
}
