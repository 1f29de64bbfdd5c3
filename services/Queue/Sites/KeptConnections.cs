namespace MailPipeline.Queue.Sites;

/// <summary>A connection without a permit that may be open still.</summary>
/// <param name="After">The batch that left it.</param>
/// <param name="Domain">Of that batch.</param>
/// <param name="Worker">Who keeps it; empty: nobody has said whether it is kept, and by whom.</param>
/// <param name="Until">Then it is closed for sure.</param>
internal sealed record Kept(long After, string Domain, string Worker, DateTimeOffset Until);

/// <summary>
/// The connections to one site that workers keep between two batches. Each counts until it is handed on with the next permit, or is closed for
/// sure. There are never more than a site has connections.
/// </summary>
internal sealed class KeptConnections
{
    /// <summary>The one that was left last stands last.</summary>
    private readonly List<Kept> _kept = [];

    public int Count => _kept.Count;

    /// <summary>There is one to be handed on.</summary>
    public bool HasKnown => _kept.Exists(kept => kept.Worker.Length > 0);

    /// <summary>When the next one is closed for sure; null: there is none.</summary>
    public DateTimeOffset? NextGone => _kept.Count == 0 ? null : _kept.Min(kept => kept.Until);

    public void Add(Kept kept) => _kept.Add(kept);

    /// <summary>Its worker's word has come after all.</summary>
    public void Learn(long after, string worker)
    {
        var place = _kept.FindIndex(kept => kept.After == after && kept.Worker.Length == 0);
        if (place >= 0)
            _kept[place] = _kept[place] with { Worker = worker };
    }

    /// <summary>
    /// One to be handed on, the one of the domain itself if there is one: then no more connections carry its mail, or carried it last, than it had
    /// batches at once. Null: none is there.
    /// </summary>
    public Kept? TakeFor(string domain)
    {
        var place = _kept.FindLastIndex(kept => kept.Worker.Length > 0 && kept.Domain == domain);
        if (place < 0)
            place = _kept.FindLastIndex(kept => kept.Worker.Length > 0);
        if (place < 0)
            return null;
        var taken = _kept[place];
        _kept.RemoveAt(place);
        return taken;
    }

    public void Forget(DateTimeOffset now) => _kept.RemoveAll(kept => kept.Until <= now);
}
