using System.Globalization;

namespace MailPipeline.Mail;

/// <summary>When mail of some senders is tried again and given up, what share they have where others send too, and how much they send.</summary>
public sealed class SenderOptions : ScheduleOptions
{
    internal const double LeastWeight = 0.01;
    internal const double MostWeight = 1_000;

    /// <summary>
    /// An address, "*@example.org" or "example.org" (all addresses of the domain), "*.example.org" (all below it), "&lt;&gt;" (reports) or "*". It
    /// fits the account that was logged in, or the sender in the envelope. Weight and rate belong to whose turn it is: an account, or else the
    /// domain of the sender in the envelope, so that an address means an account there.
    /// </summary>
    public string From { get; set; } = "";

    /// <summary>So many recipients each of them has where who has 1 has one, while both wait for the same domain. Default 1.</summary>
    public double? Weight { get; set; }

    /// <summary>Most messages that each of them sends to other systems in a second, whatever their domains. 0: no bound, whatever later entries say.</summary>
    public double? MessagesPerSecond { get; set; }

    /// <summary>The same in a minute, evenly.</summary>
    public double? MessagesPerMinute { get; set; }

    /// <summary>The same in an hour, evenly.</summary>
    public double? MessagesPerHour { get; set; }

    /// <summary>In a second. Null: nothing is said of it. 0: no bound.</summary>
    public double? Rate => MessagesPerSecond ?? MessagesPerMinute / 60 ?? MessagesPerHour / 3600;

    public void Validate(string setting, List<string> failures)
    {
        if (!SenderPattern.IsOne(From))
        {
            failures.Add(
                $"{setting}:{nameof(From)} is '{From}'; it must be an address, a domain, '*@' or '*.' and a domain, '{SenderPattern.NullSender}' for reports, or '*'");
        }
        if (Weight is { } weight && weight is not (>= LeastWeight and <= MostWeight))
            failures.Add(string.Create(CultureInfo.InvariantCulture, $"{setting}:{nameof(Weight)} is {weight}; it must be {LeastWeight} to {MostWeight}"));
        (string Name, double? Value, double Seconds)[] rates =
            [(nameof(MessagesPerSecond), MessagesPerSecond, 1), (nameof(MessagesPerMinute), MessagesPerMinute, 60), (nameof(MessagesPerHour), MessagesPerHour, 3600)];
        foreach (var (name, value, seconds) in rates)
        {
            var (least, most) = (DestinationOptions.LeastRate * seconds, DestinationOptions.MostRate * seconds);
            if (value is not (null or 0) && !(value >= least && value <= most))
                failures.Add(string.Create(CultureInfo.InvariantCulture, $"{setting}:{name} is {value}; it must be {least} to {most}, or 0 for no limit"));
        }
        if (rates.Where(rate => rate.Value is not null).Select(rate => rate.Name).ToList() is [var first, var second, ..])
            failures.Add($"{setting} has both {first} and {second}; it may have one of them");
        if (!HasSchedule && Weight is null && Rate is null)
        {
            failures.Add(
                $"{setting} says nothing; it must have {nameof(Weight)}, {nameof(MessagesPerSecond)}, {nameof(MessagesPerMinute)}, {nameof(MessagesPerHour)}, "
                + $"{nameof(RetrySteps)}, {nameof(MaxAge)}, {nameof(DelayReportAfter)} or {nameof(Uncertain)}");
        }
        ValidateSchedule(setting, failures);
    }
}
