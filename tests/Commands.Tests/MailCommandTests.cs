using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Commands.Tests;

/// <summary>What an operator does to mail on its way, on a store that holds some.</summary>
public sealed class MailCommandTests : IAsyncLifetime
{
    private readonly CommandRun _run = new();
    private readonly ServiceProvider _services;

    public MailCommandTests() => _services = _run.OpenServices();

    public async ValueTask InitializeAsync() => await Get<MailDatabase>().OpenAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        _run.Dispose();
    }

    [Fact]
    public async Task Delivery_is_paused_shown_as_such_and_resumed()
    {
        var paused = await _run.RunAsync("queue pause");
        Assert.Equal((0, ""), (paused.ExitCode, paused.Error));
        Assert.StartsWith("Delivery is paused", paused.Output, StringComparison.Ordinal);
        (await _run.RunAsync("queue pause")).ShouldNotBeDone("Delivery is paused already");

        Assert.Matches(
            @"^Delivery is paused since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ by \S+; 'queue resume' lets it go on\n0 recipients wait",
            (await _run.RunAsync("queue")).Output);
        Assert.Equal(OperatorName.Of(null).Name, (await Get<OperatorStore>().FindPauseAsync(TestContext.Current.CancellationToken))!.Operator);

        Assert.StartsWith("Delivery goes on; it was paused since 20", (await _run.RunAsync("queue resume")).Output, StringComparison.Ordinal);
        Assert.Equal(1, (await _run.RunAsync("queue resume")).ExitCode);
        (await _run.RunAsync("queue")).ShouldBeDone("0 recipients wait, 0 messages are not routed yet, 0 batches are being tried");
    }

    [Fact]
    public async Task A_message_is_held_released_and_removed_and_its_timeline_tells_of_it()
    {
        var id = MessageIds.ToText((await QueueAsync("a@example.net", "b@example.net"))[0].MessageId);
        var by = OperatorName.Of(null).Name;

        (await _run.RunAsync($"message hold {id}")).ShouldBeDone($"2 recipients of {id} held");
        (await _run.RunAsync($"message hold {id}")).ShouldNotBeDone($"Nothing to do: the recipients of {id} are held (2)");
        Assert.Contains($"2 recipients are held, of {id}; 'message release ID' lets them go", (await _run.RunAsync("queue")).Output, StringComparison.Ordinal);
        (await _run.RunAsync($"message release {id}")).ShouldBeDone($"2 recipients of {id} released");
        (await _run.RunAsync($"message release {id}")).ShouldNotBeDone($"Nothing to do: the recipients of {id} are queued (2)");
        (await _run.RunAsync($"message remove {id}")).ShouldBeDone($"2 recipients of {id} removed; the sender is not told");
        (await _run.RunAsync($"message remove {id}")).ShouldNotBeDone($"Nothing to do: the recipients of {id} are removed (2)");

        var lines = (await _run.RunAsync($"message {id}")).Output.Split('\n');
        Assert.EndsWith("Z   removed", lines[2], StringComparison.Ordinal);
        Assert.Equal(
            [$"2 recipients held by {by}", $"2 recipients released by {by}", $"2 recipients removed by {by}"],
            lines[^3..].Select(line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..]));
    }

    [Fact]
    public async Task What_is_held_because_it_killed_its_workers_says_so_and_is_released_like_any_other()
    {
        var recipients = await QueueAsync("a@example.net");
        var id = MessageIds.ToText(recipients[0].MessageId);
        for (var attempts = 0; attempts < HoldRule.MostDeaths; attempts++)
        {
            await Get<ClaimStore>().TakeAsync(attempts + 1, "example.net", [recipients[0] with { Attempts = attempts }], begun: true, TestContext.Current.CancellationToken);
            await Get<TakeBackStore>().TakeBackAsync(
                evenIfLeased: true, left => new(RecipientState.Queued, left.AcceptedAt), TimeSpan.Zero, TestContext.Current.CancellationToken);
        }

        Assert.Contains($"   heldBySystem: {HoldRule.Deaths}; 'message release ID' lets it go", (await _run.RunAsync($"message {id}")).Output, StringComparison.Ordinal);
        (await _run.RunAsync($"message release {id}")).ShouldBeDone($"1 recipient of {id} released");
        Assert.DoesNotContain("heldBySystem:", (await _run.RunAsync($"message {id}")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_queue_shows_the_last_reply_of_mail_that_is_deferred_and_no_time_that_has_passed()
    {
        var recipients = await QueueAsync("a@example.net", "b@example.net");
        Assert.Matches(@"(?m)^example\.net +2 +0  due +0$", (await _run.RunAsync("queue")).Output);

        var now = TimeProvider.System.GetUtcNow();
        var claim = await Get<ClaimStore>().TakeAsync(7, "example.net", [recipients[0]], begun: true, TestContext.Current.CancellationToken);
        await Get<OutcomeStore>().RecordAsync(
            claim.Id, "example.net", [new(new(recipients[0].RecipientId, AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 mailbox full", "", now, now), RecipientState.Queued, now.AddHours(1))], TimeSpan.Zero);
        Assert.Matches(@"(?m)^example\.net +2 +0  due +0  452 4\.2\.2 mailbox full$", (await _run.RunAsync("queue")).Output);

        await Get<QueueStore>().SetBackoffAsync("example.net", new DomainBackoff(3, now.AddMinutes(5), "no route to host"));
        Assert.Matches(@"(?m)^example\.net +2 +0  backsOff until 20\S+Z +3  no route to host$", (await _run.RunAsync("queue")).Output);
        var id = MessageIds.ToText(recipients[0].MessageId);
        Assert.Matches(@"(?m)^ +backsOff: example\.net cannot be reached and backs off until (20\S+Z) \(no route to host\); next attempt \1$", (await _run.RunAsync($"message {id}")).Output);
        // Of the other recipient the own time comes after the back-off.
        Assert.Matches(@"(?m)^ +backsOff: example\.net cannot be reached and backs off until (20\S+Z) \(no route to host\); next attempt (?!\1)20\S+Z$", (await _run.RunAsync($"message {id}")).Output);
        foreach (var recipient in recipients)
        {
            claim = await Get<ClaimStore>().TakeAsync(8, "example.net", [recipient], begun: true, TestContext.Current.CancellationToken);
            await Get<OutcomeStore>().RecordAsync(
                claim.Id, "example.net", [new(new(recipient.RecipientId, AttemptOutcome.Deferred, "4.4.1", "no route to host", "", now, now), RecipientState.Queued, now.AddHours(2))], TimeSpan.Zero);
        }
        Assert.Matches(@"(?m)^example\.net +2 +0  backsOff until 20\S+Z, next 20\S+Z +3  no route to host$", (await _run.RunAsync("queue")).Output);

        await Get<QueueStore>().SetSiteAsync("example.net", "mx1.example.org,mx2.example.org");
        Assert.Matches(@"(?m)^example\.net +2 +0  backsOff until 20\S+Z, next 20\S+Z +3  mx1\.example\.org,mx2\.example\.org  no route to host$", (await _run.RunAsync("queue")).Output);
        Assert.Matches(@"(?m)^ +its mail goes to mx1\.example\.org,mx2\.example\.org$", (await _run.RunAsync($"message {id}")).Output);

        await _run.RunAsync("queue pause");
        Assert.Matches(@"(?m)^example\.net +2 +0  paused +3 ", (await _run.RunAsync("queue")).Output);
        Assert.Matches($@"(?m)^ +paused: delivery is paused since 20\S+Z by {OperatorName.Of(null).Name}$", (await _run.RunAsync($"message {id}")).Output);
    }

    [Fact]
    public async Task What_waits_is_listed_with_its_reason_and_counted_by_what_it_has_in_common()
    {
        var recipients = await QueueAsync("a@example.net", "b@example.net");
        var id = MessageIds.ToText(recipients[0].MessageId);
        var now = TimeProvider.System.GetUtcNow();
        var claim = await Get<ClaimStore>().TakeAsync(7, "example.net", [recipients[0]], begun: true, TestContext.Current.CancellationToken);
        await Get<OutcomeStore>().RecordAsync(
            claim.Id, "example.net",
            [new(new(recipients[0].RecipientId, AttemptOutcome.Deferred, "4.2.2", "452 4.2.2\r\nmailbox full", "mx.example.net[192.0.2.1]:25", now, now), RecipientState.Queued, now.AddHours(1))],
            TimeSpan.Zero);

        var listed = (await _run.RunAsync("queue list")).Output;
        Assert.Matches($@"(?m)^{id} +\d+ s  <ann@example\.org>  b@example\.net  due +0 *$", listed);
        Assert.Matches($@"(?m)^{id} +\d+ s  <ann@example\.org>  a@example\.net  nextAttempt +1  20\S+Z +452 4\.2\.2  mailbox full at mx\.example\.net\[192\.0\.2\.1\]:25$", listed);
        Assert.Equal(3, listed.Split('\n').Length);
        Assert.Matches(
            @"(?m)^ +nextAttempt: 20\S+Z, after 452 4\.2\.2  mailbox full at mx\.example\.net\[192\.0\.2\.1\]:25$", (await _run.RunAsync($"message {id}")).Output);

        Assert.Contains("a@example.net", (await _run.RunAsync("queue list --reason NEXTATTEMPT --reply full --domain *.net --older 0s")).Output, StringComparison.Ordinal);
        (await _run.RunAsync("queue list --sender nobody@example.org")).ShouldBeDone("Nothing of that waits");
        var first = (await _run.RunAsync("queue list --limit 1")).Output;
        var after = System.Text.RegularExpressions.Regex.Match(first, @"(?m)^\.\.\. 1 were looked through; '--after (\S+)' goes on$").Groups[1].Value;
        var second = await _run.RunAsync($"queue list --limit 10 --after {after}");
        Assert.Equal(2, second.Output.Split('\n').Length);
        Assert.NotEqual(first.Split('\n')[1], second.Output.Split('\n')[1]);

        Assert.Matches(@"^2 wait\n\ndomain +waiting +trying +due +oldest  reason  next attempt  last reply\nexample\.net +2 +0 +1 +\d+ s  due +due now +452 4\.2\.2  mailbox full$",
            (await _run.RunAsync("queue --by domain")).Output);
        Assert.Matches(@"(?m)^nextAttempt +1 +0 +0 +\d+ s  20\S+Z", (await _run.RunAsync("queue --by reason")).Output);
        Assert.Matches(@"(?m)^\(not known yet\) +2 ", (await _run.RunAsync("queue --by site")).Output);
        Assert.Matches(@"(?m)^<> +2 ", (await _run.RunAsync("queue --by sender")).Output);
    }

    [Theory]
    [InlineData("queue --by colour", "--by is 'colour'; it must be domain, site, sender or reason")]
    [InlineData("queue --by 1", "--by is '1'; it must be domain, site, sender or reason")]
    [InlineData("queue --limit 1001", "--limit is '1001'; it must be 1 to 1000")]
    [InlineData("queue list --reason late", "--reason is 'late'; it must be one of notRouted, heldBySender, beingTried, due, nextAttempt, backsOff, domainLimit, senderTurn, noWorker, paused, heldByOperator, heldBySystem, siteLimit, rateLimit, suspended")]
    [InlineData("queue list --older soon", "--older is 'soon'; it must be a time such as 5m, 1h30m, 2d or 00:05:00")]
    [InlineData("queue list --domain a.*.example", "--domain is 'a.*.example'; it must be a domain, or *. and a domain")]
    [InlineData("queue list --domain *example", "--domain is '*example'; it must be a domain, or *. and a domain")]
    [InlineData("queue list --after x", "--after is 'x'; it must be what the list before said to go on with")]
    [InlineData("queue list --limit 0", "--limit is '0'; it must be 1 to 10000")]
    public async Task A_filter_that_makes_no_sense_says_what_would(string line, string complaint)
    {
        var result = await _run.RunAsync(line);
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.StartsWith(complaint, result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Messages_are_found_by_sender_recipient_and_Message_ID()
    {
        var found = await AcceptAsync("carl@example.net");
        await Get<QueueStore>().RouteAsync([new RoutedMessage(
            found with { HeaderId = "1@example.org" }, [new RoutedRecipient("carl@example.net", "", "example.net", RecipientRoute.Remote)], IsSearchable: true)]);
        var id = MessageIds.ToText(found.MessageId);
        await QueueAsync("dora@example.net");

        foreach (var question in (string[])["--to carl@example.net", "--from <ann@example.org> --to CARL@example.net", "--message-id <1@example.org>", "--limit 1 --from ann@example.org"])
            Assert.Matches($@"^id +accepted +from +size +recipients +Message-ID\n{id} +20\S+Z  <ann@example\.org> +1 byte +1 queued$", (await _run.RunAsync($"message find {question}")).Output);
        Assert.Contains("... and more; '--before ", (await _run.RunAsync("message find --limit 1")).Output, StringComparison.Ordinal);
        Assert.Contains($"\"id\":\"{id}\"", (await _run.RunAsync("message find --to carl@example.net --json")).Output, StringComparison.Ordinal);
        Assert.StartsWith("Nothing was found", (await _run.RunAsync("message find --to dora@example.net")).Output, StringComparison.Ordinal);
        Assert.Equal((2, ""), await BadAsync("message find --limit 0", "--limit is '0'; it must be 1 to 1000"));
        Assert.Equal((2, ""), await BadAsync("message find --before x", "--before: 'x' is not a message id"));

        async Task<(int, string)> BadAsync(string line, string error)
        {
            var result = await _run.RunAsync(line);
            Assert.Contains(error, result.Error, StringComparison.Ordinal);
            return (result.ExitCode, result.Output);
        }
    }

    [Fact]
    public async Task What_is_being_tried_is_left_alone_and_said_to_be()
    {
        var recipients = await QueueAsync("a@example.net", "b@example.net");
        var id = MessageIds.ToText(recipients[0].MessageId);
        await Get<ClaimStore>().TakeAsync(7, "example.net", [recipients[0]], begun: true, TestContext.Current.CancellationToken);

        var result = await _run.RunAsync($"message remove {id}");

        Assert.Equal((1, $"1 recipient of {id} removed; the sender is not told"), (result.ExitCode, result.Output));
        Assert.StartsWith($"1 recipient of {id} left alone, as an attempt is under way.", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_that_is_not_there_or_not_routed_says_so()
    {
        (await _run.RunAsync("message hold 1E240")).ShouldNotBeDone("There is no message 1E240; finished ones are forgotten after a while");
        var id = MessageIds.ToText((await AcceptAsync("a@example.net")).MessageId);
        (await _run.RunAsync($"message remove {id}")).ShouldNotBeDone($"Nothing to do: {id} is not routed yet");
    }

    [Theory]
    [InlineData("ann", "bob", "root", "ann")]
    [InlineData(" ", "bob", "root", "bob")]
    [InlineData(null, null, "root", "root")]
    [InlineData(null, null, "", "unknown")]
    public void The_operator_is_named(string? given, string? sudo, string user, string expected) =>
        Assert.Equal(expected, OperatorName.Choose(null, variable => variable == "MAIL_OPERATOR" ? given : sudo, user));

    private async Task<IReadOnlyList<Recipient>> QueueAsync(params string[] recipients)
    {
        var message = await AcceptAsync(recipients);
        var made = await Get<QueueStore>().RouteAsync(
            [new RoutedMessage(message, [.. recipients.Select(address => new RoutedRecipient(address, "", "example.net", RecipientRoute.Remote))])]);
        return [.. made.Select(row => row.Recipient)];
    }

    private async Task<Envelope> AcceptAsync(params string[] recipients)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var id = await Get<MessageStore>().NextMessageIdAsync(cancellation);
        var message = new Envelope(id, "ann@example.org", recipients, 1, BodyType.SevenBit, TimeProvider.System.GetUtcNow(), "");
        await using var content = Get<MessageStore>().CreateContent(id);
        await content.AppendAsync("x"u8.ToArray(), cancellation);
        await Get<MessageStore>().AcceptAsync(message, content, cancellation);
        return message;
    }

    private T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();
}
