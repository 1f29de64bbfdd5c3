using System.Net;
using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Client networks that nobody serves.</summary>
public sealed class BanCheckTests
{
    private static readonly Dictionary<string, string> s_elsewhere = new()
    {
        ["Ingress:ProxyProtocolFrom:0"] = "127.0.0.1",
        ["Ingress:RelayClients:0"] = "203.0.113.99",
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_ban_is_obeyed_ends_by_itself_and_is_lifted()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await IngressHost.StartAsync(s_elsewhere, time);
        var (store, list) = (host.Services.GetRequiredService<BanStore>(), host.Services.GetRequiredService<BanList>());
        await using var before = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await SetAsync("203.0.113.0/24", TimeSpan.FromHours(1));
        await SetAsync("2001:db8::/32", TimeSpan.FromHours(1));
        await SetAsync("198.51.100.7", TimeSpan.FromDays(1));

        // A session that was there before hears it at its next message.
        await before.SayAsync("MAIL FROM:<bob@example.net>", "451 4.7.1 Nobody is served at your address");
        foreach (var banned in (string[])["203.0.113.10", "2001:db8:1::1", "198.51.100.7"])
        {
            await using var client = await WrittenPolicy.OpenAsync(host.Mx, banned);
            await client.ExpectAsync("421 4.7.1 Nobody is served at your address for now");
            await client.ExpectEndAsync();
        }

        foreach (var free in (string[])["203.0.114.10", "2001:db9::1", "198.51.100.8", "203.0.113.99", "127.0.0.1"])
        {
            await using var client = await WrittenPolicy.GreetedAsync(host.Mx, free);
            await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        }

        Assert.NotNull(await store.LiftAsync(Parsed("2001:db8::/32"), new OperatorIdentity("joe")));
        await list.ReadAsync(Cancellation);
        await using (await WrittenPolicy.GreetedAsync(host.Mx, "2001:db8:1::1"))
        {
        }

        // Nobody has to read the list again for that.
        time.Advance(TimeSpan.FromHours(1));
        await using (await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.10"))
        {
        }

        async Task SetAsync(string network, TimeSpan span)
        {
            await store.SetAsync(Parsed(network), span, "", new OperatorIdentity("joe"));
            await list.ReadAsync(Cancellation);
        }
    }

    [Fact]
    public async Task What_another_process_sets_counts_by_itself()
    {
        await using var host = await IngressHost.StartAsync(s_elsewhere);
        await host.Services.GetRequiredService<BanStore>().SetAsync(Parsed("203.0.113.9"), TimeSpan.FromHours(1), "", new OperatorIdentity("joe"));
        await Eventually.TrueAsync(() => host.Services.GetRequiredService<BanList>().Count == 1, TimeSpan.FromSeconds(20));
        await using var client = await WrittenPolicy.OpenAsync(host.Submission, "203.0.113.9");
        await client.ExpectAsync("421 4.7.1");
    }

    private static IPNetwork Parsed(string network) => BanStore.TryParse(network, out var parsed) ? parsed : throw new FormatException(network);
}
