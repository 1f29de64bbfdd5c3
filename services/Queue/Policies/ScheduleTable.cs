using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Policies;

/// <summary>The times of one recipient's mail: what is said of its sender, of its destination and of all mail, put together.</summary>
/// <param name="DelayReportAfter">Zero: the sender is not told.</param>
internal sealed record Schedule(RetrySchedule Retry, TimeSpan DelayReportAfter, UncertainRule Uncertain);

/// <summary>What follows an attempt that ended without an answer to the final dot.</summary>
internal sealed record UncertainRule(IReadOnlyList<TimeSpan> Steps, int Most, UncertainEnd Then)
{
    /// <summary>After so many such attempts of a recipient there is no other.</summary>
    public bool IsOver(int uncertain) => uncertain >= Most;
}

/// <summary>
/// Whose mail has which times: each of them as the sender's entry says, else the destination's, else the settings. Of each list the first entry
/// counts that fits and says something of it. Never changes; a changed policy makes another.
/// </summary>
internal sealed class ScheduleTable
{
    private readonly QueueOptions _settings;
    private readonly Times _ofSenders = new();
    private readonly Times _ofDestinations = new();
    private readonly Schedule _default;

    public ScheduleTable(QueueOptions settings, QueuePolicyOptions policy)
    {
        _settings = settings;
        foreach (var (i, sender) in policy.Senders.Index())
        {
            if (sender.HasSchedule)
                _ofSenders.Add(SenderPattern.Key(sender.From), i, sender);
        }
        foreach (var (i, destination) in policy.Destinations.Index())
        {
            if (destination.HasSchedule)
                _ofDestinations.Add(DestinationOptions.DomainKey(destination.For), i, destination);
        }
        _default = Compose([], []);
        var delays = policy.Destinations.Concat<ScheduleOptions>(policy.Senders).Select(entry => entry.DelayReportAfter ?? TimeSpan.Zero)
            .Append(settings.DelayReportAfter).Where(delay => delay > TimeSpan.Zero).ToList();
        ShortestDelayReport = delays.Count > 0 ? delays.Min() : null;
    }

    /// <summary>Nobody is told of a delay sooner than this; null: nobody is told at all.</summary>
    public TimeSpan? ShortestDelayReport { get; }

    /// <summary>Of a domain as a whole, whoever sends to it: by its steps it backs off.</summary>
    public Schedule OfDomain(string domain) => _ofDestinations.IsEmpty ? _default : Compose([], [domain]);

    /// <param name="flow">See <see cref="FlowKey"/>: an account, or a sender's domain.</param>
    /// <param name="sender">Reverse-path; empty for the null sender.</param>
    /// <param name="domain">The name of the domain's queue.</param>
    public Schedule Of(string flow, string sender, string domain) => _ofSenders.IsEmpty && _ofDestinations.IsEmpty
        ? _default : Compose(_ofSenders.IsEmpty ? [] : SenderPattern.NamesOf(flow, sender), _ofDestinations.IsEmpty ? [] : [domain]);

    public Schedule Of(Recipient recipient) => Of(recipient.Flow, recipient.Sender, DomainName.Key(recipient.Address[(recipient.Address.LastIndexOf('@') + 1)..]));

    private Schedule Compose(IReadOnlyList<string> senders, string[] domains)
    {
        return new Schedule(
            new RetrySchedule(
                Said(times => times.RetrySteps) ?? _settings.RetrySteps, _settings.RetryJitter, SaidValue(times => times.MaxAge) ?? _settings.MaxAge),
            SaidValue(times => times.DelayReportAfter) ?? _settings.DelayReportAfter,
            new UncertainRule(
                Said(times => times.UncertainSteps) ?? _settings.Uncertain.Steps,
                SaidValue(times => times.UncertainMost) ?? _settings.Uncertain.Most ?? UncertainOptions.DefaultMost,
                SaidValue(times => times.UncertainThen) ?? _settings.Uncertain.Then ?? UncertainOptions.DefaultThen));

        T? Said<T>(Func<Times, NameTable<T>> of)
            where T : class => First(of(_ofSenders), senders)?.Value ?? First(of(_ofDestinations), domains)?.Value;

        T? SaidValue<T>(Func<Times, NameTable<T>> of)
            where T : struct => (First(of(_ofSenders), senders) ?? First(of(_ofDestinations), domains))?.Value;
    }

    private static (int Index, T Value)? First<T>(NameTable<T> table, IReadOnlyList<string> names)
        where T : notnull
    {
        (int Index, T Value)? first = null;
        foreach (var name in names)
        {
            if (table.Find(name) is { } found && (first is null || found.Index < first.Value.Index))
                first = found;
        }
        return first;
    }

    /// <summary>What a list of the policy says of each time.</summary>
    private sealed class Times
    {
        public NameTable<IReadOnlyList<TimeSpan>> RetrySteps { get; } = new();

        public NameTable<TimeSpan> MaxAge { get; } = new();

        public NameTable<TimeSpan> DelayReportAfter { get; } = new();

        public NameTable<IReadOnlyList<TimeSpan>> UncertainSteps { get; } = new();

        public NameTable<int> UncertainMost { get; } = new();

        public NameTable<UncertainEnd> UncertainThen { get; } = new();

        public bool IsEmpty { get; private set; } = true;

        public void Add(string pattern, int index, ScheduleOptions entry)
        {
            IsEmpty = false;
            if (entry.RetrySteps.Count > 0)
                RetrySteps.Add(pattern, index, entry.RetrySteps);
            if (entry.MaxAge is { } age)
                MaxAge.Add(pattern, index, age);
            if (entry.DelayReportAfter is { } delay)
                DelayReportAfter.Add(pattern, index, delay);
            if (entry.Uncertain.Steps.Count > 0)
                UncertainSteps.Add(pattern, index, entry.Uncertain.Steps);
            if (entry.Uncertain.Most is { } most)
                UncertainMost.Add(pattern, index, most);
            if (entry.Uncertain.Then is { } then)
                UncertainThen.Add(pattern, index, then);
        }
    }
}
