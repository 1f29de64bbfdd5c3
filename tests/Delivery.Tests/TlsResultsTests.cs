using MailPipeline.Delivery.Tls;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Counts of TLS results on their way to storage.</summary>
public sealed class TlsResultsTests
{
    private static readonly TlsDemand s_demand = new(TlsPolicy.Opportunistic) { Domain = "example.net" };

    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2030, 1, 2, 23, 59, 0, TimeSpan.Zero));
    private readonly List<TlsResultCount> _written = [];
    private bool _isAway;

    [Fact]
    public async Task They_leave_every_few_minutes_and_at_the_stop()
    {
        using var results = Make();
        await results.StartAsync(default);
        Note(results, "");
        Note(results, "");
        Note(results, "validation-failure");
        _clock.Advance(ResultCounter<TlsResultKey>.Interval);
        Assert.Equal([("", "", 2), ("validation-failure", "192.0.2.1", 1)], _written.Select(count => (count.Key.Result, count.Key.Address, count.Sessions)));
        // A day by UTC each.
        Note(results, "");
        await results.StopAsync(default);
        Assert.Equal([21_916, 21_916, 21_917], _written.Select(count => count.Key.Day));
    }

    [Fact]
    public async Task While_storage_is_away_they_are_kept_and_counted_on()
    {
        using var results = Make();
        _isAway = true;
        Note(results, "");
        await results.StopAsync(default);
        Note(results, "");
        await results.StopAsync(default);
        Assert.Empty(_written);
        _isAway = false;
        await results.StopAsync(default);
        Assert.Equal(2, Assert.Single(_written).Sessions);
        await results.StopAsync(default);
        Assert.Single(_written);
    }

    [Fact]
    public async Task Nothing_is_counted_unless_the_operator_says_so()
    {
        using var results = Make(isOn: false);
        await results.StartAsync(default);
        Note(results, "");
        results.NotePolicy("example.net", "sts-policy-invalid");
        await results.StopAsync(default);
        Assert.Empty(_written);
    }

    [Fact]
    public async Task However_many_hosts_a_stranger_has_they_take_no_more_room()
    {
        using var results = Make();
        for (var host = 0; host < 60_000; host++)
            results.Note(s_demand, TlsChoice.Of(s_demand, null), tlsa: null, $"mx{host}.example.net", "192.0.2.1", "");
        await results.StopAsync(default);
        Assert.Equal(50_000, _written.Count);
    }

    private TlsResults Make(bool isOn = true) => new(
        Options.Create(new DeliveryOptions { TlsReports = isOn }),
        (_, counts) =>
        {
            if (_isAway)
                throw new StorageUnavailableException(StorageFault.Unavailable, "away");
            _written.AddRange(counts);
            return Task.CompletedTask;
        },
        _clock, new FakeLogger<TlsResults>());

    private static void Note(TlsResults results, string result) => results.Note(s_demand, TlsChoice.Of(s_demand, null), tlsa: null, "mx.example.net", "192.0.2.1", result);
}
