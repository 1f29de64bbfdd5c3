using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Commands.Tests;

/// <summary>Who is told of outcomes, by an operator.</summary>
public sealed class EventCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task Who_is_told_what_waits_and_who_takes_nothing_is_shown()
    {
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("event status")).ShouldBeDone("Nobody is told what becomes of mail: neither Events:Webhooks nor Events:Bus of Queue names a receiver");
        await using (var services = _run.OpenServices())
        {
            await services.GetRequiredService<MailDatabase>().OpenAsync(default);
            var events = services.GetRequiredService<EventStore>();
            await events.RegisterAsync("bus", Enum.GetValues<EventKind>());
            await events.RegisterAsync("crm", [EventKind.Bounced, EventKind.Complained]);
            await events.NoteAsync("crm", "crm.example answered 503\u001b");
        }

        var lines = (await _run.RunAsync("event status")).Output.Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).ToList();
        Assert.Equal(["receiver kinds waiting oldest dropped takes them", "bus delivered, deferred, bounced, complained 0 - 0 yes"], lines.Take(2));
        Assert.Matches("^crm bounced, complained 0 - 0 not since 20[^ ]+: crm.example answered 503$", lines[2]);
        var json = (await _run.RunAsync("event status --json")).Output;
        Assert.StartsWith("""{"status":"done","result":"eventReceivers","receivers":[{"name":"bus","kinds":["delivered","deferred","bounced","complained"],"since":""", json, StringComparison.Ordinal);
        Assert.Contains(""""waiting":0,"more":false,"oldestSeconds":0,"awaySince":null,"reason":"","dropped":0}"""", json, StringComparison.Ordinal);
    }
}
