using MailPipeline.Mail;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Tests;

/// <summary>Whose mail has which times: the sender's entry, the destination's, the settings.</summary>
public sealed class ScheduleTableTests
{
    private static readonly DateTimeOffset s_noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly QueueOptions _settings = new() { RetrySteps = [Minutes(5)], Uncertain = { Steps = UncertainOptions.DefaultSteps }, RetryJitter = 0 };

    [Theory]
    // A sender by his address, as himself, whoever was logged in.
    [InlineData("ann@bank.example", "ann@bank.example", 1)]
    [InlineData("x@other.example", "Ann@BANK.example", 1)]
    [InlineData("ann@bank.example", "x@other.example", 1)]
    [InlineData("ann@bank.example", "", 1)]
    // By his domain.
    [InlineData("news.example.org", "x@news.example.org", 2)]
    [InlineData("x@a.example", "y@news.example.org", 2)]
    // What was rewritten on its way still has the flow of its sender.
    [InlineData("news.example.org", "srs0=x@here.example", 2)]
    [InlineData("letter.example.org", "x@letter.example.org", 4)]
    [InlineData("a.below.example", "x@a.below.example", 5)]
    [InlineData("below.example", "x@below.example", 6)]
    [InlineData("xn--bcher-kva.example", "x@Bücher.example", 7)]
    // Reports.
    [InlineData("", "", 3)]
    // All others.
    [InlineData("other.example", "x@other.example", 6)]
    public void A_sender_has_the_first_entry_that_fits(string flow, string sender, int minutes)
    {
        var table = Table(senders:
        [
            ("ann@bank.example", 1), ("*@news.example.org", 2), ("<>", 3), ("letter.example.org", 4), ("*.below.example", 5), ("bücher.example", 7), ("*", 6),
        ]);
        Assert.Equal(s_noon.AddMinutes(minutes), table.Of(flow, sender, "example.net").Retry.Next(1, s_noon, s_noon, 0));
    }

    [Fact]
    public void Each_time_is_the_senders_else_the_destinations_else_that_of_the_settings()
    {
        _settings.MaxAge = TimeSpan.FromDays(3);
        var table = new ScheduleTable(_settings, new QueuePolicyOptions
        {
            Senders =
            [
                new() { From = "bank.example", MaxAge = TimeSpan.FromHours(2), Uncertain = { Most = 1 } },
                // What an entry does not say is said by a later one.
                new() { From = "*", DelayReportAfter = TimeSpan.Zero },
            ],
            Destinations =
            [
                new() { For = "slow.example", Connections = 1 },
                new() { For = "*.example", RetrySteps = [Minutes(7)], MaxAge = TimeSpan.FromHours(9), Uncertain = { Then = UncertainEnd.Report, Most = 2 } },
            ],
        });

        var schedule = table.Of("bank.example", "x@bank.example", "slow.example");
        Assert.Equal(s_noon.AddMinutes(7), schedule.Retry.Next(1, s_noon, s_noon, 0));
        Assert.Equal(s_noon.AddHours(2), schedule.Retry.End(s_noon));
        Assert.Equal(TimeSpan.Zero, schedule.DelayReportAfter);
        Assert.Equal((1, UncertainEnd.Report), (schedule.Uncertain.Most, schedule.Uncertain.Then));
        Assert.Equal(UncertainOptions.DefaultSteps, schedule.Uncertain.Steps);

        Assert.Equal(s_noon.AddHours(9), table.Of("other.org", "x@other.org", "slow.example").Retry.End(s_noon));
        Assert.Equal(s_noon.AddDays(3), table.Of("other.org", "x@other.org", "example.net").Retry.End(s_noon));
        // Of the domain as a whole no sender says anything.
        Assert.Equal(Minutes(7), table.OfDomain("slow.example").Retry.Pause(1, 0));
        Assert.Equal(Minutes(5), table.OfDomain("example.net").Retry.Pause(1, 0));
        Assert.Equal(_settings.DelayReportAfter, table.ShortestDelayReport);
    }

    [Fact]
    public void A_recipient_goes_by_the_name_of_his_domains_queue()
    {
        var table = new ScheduleTable(_settings, new QueuePolicyOptions { Destinations = [new() { For = "Bücher.example", MaxAge = TimeSpan.FromHours(1) }] });
        var recipient = new Recipient(1, "x@BÜCHER.example", "s@example.org", 1, BodyType.SevenBit, 0, s_noon, s_noon, RecipientRoute.Remote, "");
        Assert.Equal(s_noon.AddHours(1), table.Of(recipient).Retry.End(s_noon));
    }

    [Theory]
    [InlineData("4h", null, "4h")]
    [InlineData("4h", "10m", "10m")]
    [InlineData("4h", "1d", "4h")]
    [InlineData("0", "1d", "1d")]
    [InlineData("0", "0", null)]
    public void Nobody_is_told_of_a_delay_sooner_than_the_shortest_time(string setting, string? entry, string? expected)
    {
        _settings.DelayReportAfter = Time(setting);
        var policy = new QueuePolicyOptions();
        if (entry is not null)
            policy.Senders.Add(new() { From = "a.example", DelayReportAfter = Time(entry) });
        Assert.Equal(expected is null ? null : Time(expected), new ScheduleTable(_settings, policy).ShortestDelayReport);

        static TimeSpan Time(string text) => text switch
        {
            "4h" => TimeSpan.FromHours(4), "10m" => Minutes(10), "1d" => TimeSpan.FromDays(1), _ => TimeSpan.Zero,
        };
    }

    private static TimeSpan Minutes(int minutes) => TimeSpan.FromMinutes(minutes);

    private ScheduleTable Table((string From, int Minutes)[] senders) => new(
        _settings, new QueuePolicyOptions { Senders = [.. senders.Select(entry => new SenderOptions { From = entry.From, RetrySteps = [Minutes(entry.Minutes)] })] });
}
