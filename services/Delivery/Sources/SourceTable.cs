using System.Net;
using System.Net.Sockets;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Sources;

/// <summary>An address that mail leaves from, with all that goes with it.</summary>
/// <param name="Address">As far ends see it, and as storage and logs call it.</param>
/// <param name="Local">What a socket here is bound to; where there is an egress, nothing is.</param>
/// <param name="HostName">In EHLO; empty: that of all.</param>
/// <param name="Connections">Most at once; 0: no bound.</param>
internal sealed record Source(
    string Pool, IPAddress Address, IPAddress Local, string HostName, int Weight, int Connections, WarmUp? WarmUp, EgressHop? Egress)
{
    public AddressFamily Family => Address.AddressFamily;

    public string Name { get; } = Address.ToString();
}

/// <summary>Messages a day, from a day on.</summary>
internal sealed record WarmUp(DateOnly From, IReadOnlyList<int> Days)
{
    /// <summary>Null: there is no bound any more.</summary>
    public int? PlanOf(DateOnly day)
    {
        var number = day.DayNumber - From.DayNumber;
        return number < 0 ? 0 : number < Days.Count ? Days[number] : null;
    }
}

/// <summary>One state of the file: pools, and whose mail leaves from them. Never changes; a changed file makes another.</summary>
internal sealed class SourceTable
{
    public static readonly SourceTable Empty = new(new SourcesOptions());

    private readonly Dictionary<string, IReadOnlyList<Source>> _pools;
    private readonly Rule[] _rules;

    public SourceTable(SourcesOptions options)
    {
        _pools = options.Pools.ToDictionary(
            pool => pool.Name, pool => (IReadOnlyList<Source>)[.. pool.Sources.Select(source => Make(pool, source))], StringComparer.OrdinalIgnoreCase);
        _rules = [.. options.Rules.Select(rule => new Rule(
            rule.From.Length > 0 ? SenderPattern.Key(rule.From) : "*", rule.To.Length > 0 ? Routing.RouteTable.Key(rule.To) : "*",
            options.Pools.FirstOrDefault(pool => pool.Name.Equals(rule.Pool, StringComparison.OrdinalIgnoreCase))?.Name ?? ""))];
    }

    /// <summary>All mail leaves as if there were no file.</summary>
    public bool IsEmpty => _rules.Length == 0;

    public IEnumerable<Source> Sources => _pools.Values.SelectMany(sources => sources);

    /// <summary>None: there is no such pool (any more).</summary>
    public IReadOnlyList<Source> SourcesOf(string pool) => _pools.GetValueOrDefault(pool, []);

    /// <summary>Of mail for one domain. Empty: it leaves as if there were no file.</summary>
    /// <param name="domain">As queues name it.</param>
    public Func<Recipient, string> PoolsTo(string domain)
    {
        var fitting = Array.FindAll(_rules, rule => Fits(rule.To, domain));
        if (fitting.Length == 0)
            return _ => "";
        if (fitting[0].From == "*")
            return _ => fitting[0].Pool;
        var known = new Dictionary<(string, string), string>();
        return recipient =>
        {
            var key = (recipient.Flow, recipient.Sender);
            if (!known.TryGetValue(key, out var pool))
            {
                var names = SenderPattern.NamesOf(recipient.Flow, recipient.Sender);
                known.Add(key, pool = Array.Find(fitting, rule => names.Any(name => Fits(rule.From, name)))?.Pool ?? "");
            }

            return pool;
        };
    }

    private static bool Fits(string pattern, string name) => pattern switch
    {
        "*" => true,
        // What stands before the domain of an address is no part of its domain.
        ['*', '.', ..] => !name.Contains('@', StringComparison.Ordinal) && name.EndsWith(pattern[1..], StringComparison.Ordinal),
        _ => name == pattern,
    };

    private static Source Make(PoolOptions pool, SourceOptions source)
    {
        // What is none is refused before this is made of it.
        var address = HostAddress.TryParse(source.Address, out var parsed) ? parsed : IPAddress.None;
        var (egress, credentials) = source.EgressOf(pool);
        WarmUp? warmUp = null;
        if (source.WarmUp.IsSet && WarmUpOptions.TryParseDay(source.WarmUp.From, out var from))
            warmUp = new WarmUp(from, [.. source.WarmUp.Days.Select(day => WarmUpOptions.TryParseMessages(day, out var messages) ? messages : 0)]);
        return new Source(
            pool.Name, address, HostAddress.TryParse(source.Bind, out var local) ? local : address, source.HostName, source.Weight, source.Connections, warmUp,
            EgressHop.TryParse(egress, out var through) ? through with { Credentials = credentials } : null);
    }

    private sealed record Rule(string From, string To, string Pool);
}
