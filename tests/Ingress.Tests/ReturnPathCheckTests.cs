using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>What is taken at the door for a sender that we have rewritten.</summary>
public sealed class ReturnPathCheckTests : IDisposable
{
    private readonly TempFolder _folder = new("srs");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Reports_are_taken_whatever_the_case_of_letters_and_nothing_else()
    {
        await using var host = await StartAsync();
        var returnPath = Rewritten(host);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<>", "250");
        await client.SayAsync($"RCPT TO:<{returnPath}>", "250");
        await client.SayAsync($"RCPT TO:<{returnPath.ToLowerInvariant()}>", "250");
        await client.SayAsync($"RCPT TO:<\"{returnPath[..returnPath.IndexOf('@')]}\"@SRS.example.org>", "250");
        await client.SayAsync($"RCPT TO:<{returnPath.Replace("=eve@", "=ann@", StringComparison.Ordinal)}>", "550 5.1.1 No message has gone out under that return path");
        await client.SayAsync("RCPT TO:<SRS0=x@srs.example.org>", "550 5.1.1");
        await client.SayAsync("RCPT TO:<SRS1=AAAAAAAAAA=victim.example==HHH=TT=example.com=ann@srs.example.org>", "550 5.1.1");
        await client.SayAsync("RCPT TO:<eve@stranger.example>", "550 5.7.1 Relaying denied");
        // Of another name the directory decides, of which the domain need not be.
        await client.SayAsync("RCPT TO:<ann@srs.example.org>", "550 5.7.1 Relaying denied");
        await client.SayAsync("RCPT TO:<SRS0+x=y@srs.example.org>", "550 5.7.1 Relaying denied");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("Subject: report\r\n\r\ntext\r\n.", "250");
        Assert.Equal(returnPath, (await host.NextHintAsync()).Recipients[0]);

        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync($"RCPT TO:<{returnPath}>", "550 5.7.1 Only reports, with the null sender, are taken for that return path");
        // Nor of a user of ours.
        await using var user = await Client.AuthenticatedAsync(host.Submission);
        await user.SayAsync("MAIL FROM:<ann@example.com>", "250");
        await user.SayAsync($"RCPT TO:<{returnPath}>", "550 5.7.1");
        await user.SayAsync("RCPT TO:<SRS0=x@srs.example.org>", "550 5.1.1");
    }

    [Fact]
    public async Task A_domain_with_a_catch_all_takes_no_forged_one_either()
    {
        await using var host = await StartAsync(("Srs:Domain", "example.org"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<>", "250");
        await client.SayAsync($"RCPT TO:<{Rewritten(host)}>", "250");
        await client.SayAsync("RCPT TO:<SRS0=AAAAAAAA=AA=stranger.example=eve@example.org>", "550 5.1.1");
        await client.SayAsync("RCPT TO:<anybody@example.org>", "250");
    }

    [Fact]
    public async Task Who_may_be_written_to_by_anybody_is_what_the_operator_said()
    {
        await using var host = await StartAsync(("Srs:AcceptFrom", "Any"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync($"RCPT TO:<{Rewritten(host)}>", "250");
    }

    [Fact]
    public async Task After_its_time_it_is_valid_no_more()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await StartAsync(time, ("Srs:MaxAge", "1d"));
        var returnPath = Rewritten(host);
        time.Advance(TimeSpan.FromDays(1));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<>", "250");
        await client.SayAsync($"RCPT TO:<{returnPath}>", "250");
        time.Advance(TimeSpan.FromDays(1));
        await using var later = await Client.GreetedAsync(host.Mx);
        await later.SayAsync("MAIL FROM:<>", "250");
        await later.SayAsync($"RCPT TO:<{returnPath}>", "550 5.1.1 That return path is no longer valid");
    }

    private static string Rewritten(IngressHost host)
    {
        Assert.Equal(SenderRewritingOutcome.Rewritten, host.Services.GetRequiredService<SenderRewriting>().Rewrite("eve@stranger.example", out var rewritten));
        return rewritten;
    }

    private Task<IngressHost> StartAsync(params (string Name, string Value)[] settings) => StartAsync(null, settings);

    private Task<IngressHost> StartAsync(FakeTimeProvider? time, params (string Name, string Value)[] settings)
    {
        File.WriteAllText(_folder["secrets"], "correct horse battery staple\n");
        var all = new Dictionary<string, string> { ["Srs:Domain"] = "srs.example.org", ["Srs:SecretFile"] = _folder["secrets"] };
        foreach (var (name, value) in settings)
            all[name] = value;
        return IngressHost.StartAsync(all, time);
    }
}
