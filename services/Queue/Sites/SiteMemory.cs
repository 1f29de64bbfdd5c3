namespace MailPipeline.Queue.Sites;

/// <summary>
/// Where mail of domains goes, as this process has learned it; so a domain whose queue was not in memory need not be handed back once more.
/// Of the domains that nobody has asked about for long it forgets some.
/// </summary>
internal sealed class SiteMemory(int capacity = 50_000)
{
    private readonly Lock _lock = new();
    private Dictionary<string, string> _recent = new(StringComparer.Ordinal);
    private Dictionary<string, string> _older = new(StringComparer.Ordinal);

    /// <summary>Empty: it is not known.</summary>
    public string Find(string domain)
    {
        lock (_lock)
        {
            if (_recent.TryGetValue(domain, out var site))
                return site;
            if (!_older.TryGetValue(domain, out site))
                return "";
            Add(domain, site);
            return site;
        }
    }

    public void Note(string domain, string site)
    {
        lock (_lock)
            Add(domain, site);
    }

    private void Add(string domain, string site)
    {
        if (_recent.Count >= capacity / 2 && !_recent.ContainsKey(domain))
            (_recent, _older) = (new(StringComparer.Ordinal), _recent);
        _recent[domain] = site;
    }
}
