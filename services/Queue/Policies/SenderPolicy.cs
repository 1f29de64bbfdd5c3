using MailPipeline.Mail;

namespace MailPipeline.Queue.Policies;

/// <summary>What a sender has where others send too.</summary>
/// <param name="Weight">His part of a destination, beside that of the others who wait for it.</param>
/// <param name="MessagesPerSecond">To all other systems together; null: as many as go.</param>
internal readonly record struct SenderShare(double Weight, double? MessagesPerSecond)
{
    public static readonly SenderShare Default = new(1, null);

    /// <summary>Each of his batches to other systems needs a permit.</summary>
    public bool IsPaced => MessagesPerSecond is not null;
}

/// <summary>
/// Weights and rates of senders, each of them by the first entry that fits and says something of it. Never changes; a changed file makes another.
/// </summary>
internal sealed class SenderPolicy
{
    public static readonly SenderPolicy None = new([]);

    private readonly NameTable<double> _weights = new();
    private readonly NameTable<double> _rates = new();

    public SenderPolicy(IEnumerable<SenderOptions> senders)
    {
        foreach (var (i, sender) in senders.Index())
        {
            if (sender.Weight is { } weight)
                _weights.Add(SenderPattern.Key(sender.From), i, weight);
            if (sender.Rate is { } rate)
                _rates.Add(SenderPattern.Key(sender.From), i, rate);
        }
    }

    /// <summary>Somebody may have a rate.</summary>
    public bool HasRates => !_rates.IsEmpty;

    /// <param name="flow">See <see cref="FlowKey"/>: weights and rates are of those whose mail takes turns.</param>
    public SenderShare Of(string flow) => _weights.IsEmpty && _rates.IsEmpty
        ? SenderShare.Default : new(SenderPattern.Find(_weights, flow) ?? SenderShare.Default.Weight, SenderPattern.Find(_rates, flow) is > 0 and var rate ? rate : null);
}
