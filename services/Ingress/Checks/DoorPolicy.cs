using MailPipeline.Mail;

namespace MailPipeline.Ingress.Checks;

/// <summary>What the policy says, in the form in which checks ask it; null where a check is off.</summary>
internal sealed class DoorPolicy(PolicyOptions options)
{
    public static readonly DoorPolicy Off = new(new PolicyOptions());

    public DnsListPolicy? DnsLists { get; } = options.DnsLists.IsOn ? new(options.DnsLists) : null;

    public ClientHostOptions? ClientHost { get; } = options.ClientHost.IsOn ? options.ClientHost : null;

    public EarlyTalkerOptions? EarlyTalkers { get; } = options.EarlyTalkers.IsOn ? options.EarlyTalkers : null;

    private readonly LimitOptions[][] _limits =
        [.. Enumerable.Range(0, (int)LimitWhat.FailedLogins + 1).Select(what => options.Limits.Where(rule => (int)rule.What == what).ToArray())];

    /// <summary>All limits.</summary>
    public IEnumerable<LimitOptions> Limits => options.Limits;

    /// <summary>The limits of what is counted.</summary>
    public IReadOnlyList<LimitOptions> LimitsOf(LimitWhat what) => _limits[(int)what];

    /// <summary>So many recipients of a sender may wait; 0: as many as come. Null: nobody is bounded.</summary>
    public NameTable<long>? SenderQueues { get; } = options.SenderQueues.Count > 0 ? TableOf(options.SenderQueues) : null;

    public Greylisting? Greylisting { get; } = options.Greylisting.IsOn ? new(options.Greylisting) : null;

    private static NameTable<long> TableOf(IEnumerable<SenderQueueOptions> senders)
    {
        var table = new NameTable<long>();
        foreach (var (i, sender) in senders.Index())
            table.Add(SenderPattern.Key(sender.From), i, sender.MaxRecipients ?? 0);
        return table;
    }
}
