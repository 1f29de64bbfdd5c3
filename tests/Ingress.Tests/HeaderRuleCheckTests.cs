using System.Text;
using MailPipeline.Mail;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Ingress.Tests;

public sealed class HeaderRuleCheckTests
{
    private const string Rules = "Ingress:Checks:HeaderRules:Rules";

    [Theory]
    [InlineData("Subject: You have WON a prize\r\n\r\ntext\r\n", true)]
    [InlineData("subject : won a prize\r\n", true)]
    [InlineData("x: y\r\nSubject: a\r\nSubject: we won\r\n a prize\r\nz: z\r\n\r\n", true)]
    [InlineData("Subject: won\ta  prize\r\n\r\n", true)]
    [InlineData("Subject: won a\r\n\t prize\r\n\r\n", true)]
    [InlineData("Subject: won \r\n\ta\t\r\n prize\r\n\r\n", true)]
    [InlineData("Subject: won aprize\r\n\r\n", false)]
    [InlineData("Subject: we won a\r\n", false)]
    [InlineData("X-Subject: won a prize\r\n\r\n", false)]
    [InlineData("Subject: mail\r\nX: Subject: won a prize\r\n\r\n", false)]
    [InlineData("Subject: mail\r\n\r\nSubject: won a prize\r\n", false)]
    [InlineData("\r\nSubject: won a prize\r\n\r\n", false)]
    public async Task A_message_with_such_a_field_is_refused(string content, bool isRefused)
    {
        await using var host = await IngressHost.StartAsync(With("prize", "Refuse", "Subject", "won \ta prize"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.BeginAsync();
        await client.SendAsync(content);
        await client.SayAsync(".", isRefused ? "550 5.7.1" : "250 2.0.0");
        // The session goes on.
        await client.MessageAsync("x: y\r\n");
    }

    [Fact]
    public async Task A_field_with_any_value_is_found_on_submission_too_and_however_the_content_is_cut()
    {
        await using var host = await IngressHost.StartAsync(With("list", "Refuse", "List-Id", ""));
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com");
        foreach (var octet in "From ann Sun\r\nDate: x\r\nLIST-ID: <a>\r\ntext\r\n.\r\n")
            await client.SendAsync(octet.ToString());
        await client.ExpectAsync("550 5.7.1");
    }

    [Fact]
    public async Task A_header_that_is_longer_than_rules_look_is_refused_where_there_are_rules()
    {
        var line = $"X-Padding: {new string('x', 900)}\r\n";
        var padding = string.Concat(Enumerable.Repeat(line, (64 * 1024 / line.Length) + 1));
        await using (var host = await IngressHost.StartAsync(With("prize", "Hold", "Subject", "won a prize")))
        {
            await using var client = await Client.GreetedAsync(host.Mx);
            await client.MessageAsync(padding + "Subject: won a prize\r\n\r\ntext", "552 5.3.4 The header");
            // Without an end at all.
            await client.MessageAsync(padding, "552 5.3.4 The header");
            // A long text is no long header, and what lies below the bound is looked at.
            await client.MessageAsync("x: y\r\n\r\n" + padding);
            await client.MessageAsync("\r\n" + padding);
            await client.MessageAsync(padding[line.Length..^line.Length] + "Subject: won a prize\r\n\r\n" + padding);
            Assert.Equal("", (await host.NextHintAsync()).HoldReason);
            Assert.Equal("", (await host.NextHintAsync()).HoldReason);
            Assert.Equal("header rule prize", (await host.NextHintAsync()).HoldReason);
        }

        await using (var host = await IngressHost.StartAsync())
        {
            await using var client = await Client.GreetedAsync(host.Mx);
            await client.MessageAsync(padding + "Subject: won a prize\r\n\r\ntext");
        }
    }

    [Fact]
    public async Task Which_rule_refuses_is_said_to_the_operator_and_not_to_the_client()
    {
        var settings = With("other", "Refuse", "List-Id", "");
        foreach (var (name, value) in With("prize", "Refuse", "Subject", "won a prize", number: 1))
            settings[name] = value;
        await using var host = await IngressHost.StartAsync(settings, services: services => services.AddFakeLogging());
        using var verdicts = host.Metric<long>("mailpipeline.ingress.check_verdicts");
        await using var client = await Client.GreetedAsync(host.Mx);
        Assert.DoesNotContain("rule", await client.MessageAsync("Subject: won a prize\r\n", "550 5.7.1"), StringComparison.Ordinal);
        await client.SayAsync("NONSENSE", "500");

        var said = Assert.Single(verdicts.GetMeasurementSnapshot());
        Assert.Equal(("header_rules", "reply", "prize"), (said.Tags["check"], said.Tags["verdict"], said.Tags["rule"]));
        Assert.Collection(
            host.Services.GetFakeLogCollector().GetSnapshot().Where(record => record.Id.Id == 1008).Select(record => record.Message),
            line => Assert.Contains("command=DATA from=<bob@example.net> to=<ann@example.com> rule=prize reply=550 5.7.1 ", line, StringComparison.Ordinal),
            line => Assert.EndsWith("command=unknown reply=500 5.5.2 Command not recognized", line, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_longest_fields_that_may_be_set_fit_in_front_of_a_message()
    {
        var settings = new Dictionary<string, string>();
        for (var number = 0; number < 16; number++)
        {
            foreach (var (name, value) in With($"rule-{number}", "Tag", "Subject", "", number))
                settings[name] = value;
            settings[$"{Rules}:{number}:AddField"] = $"X-{number:00}:{new string('x', 992)}";
        }

        await using var host = await IngressHost.StartAsync(settings);
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com");
        await client.SayAsync("Subject: x\r\n\r\n.", "250 2.0.0");
        var content = Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
        Assert.StartsWith("X-15: xxx", content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_is_held_from_the_start_with_the_rule_as_its_reason_until_an_operator_lets_it_go()
    {
        await using var host = await IngressHost.StartAsync(With("invoice", "Hold", "Subject", "invoice"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("Subject: Invoice\r\n");
        var hint = await host.NextHintAsync();
        Assert.Equal("header rule invoice", hint.HoldReason);

        // As it is found in storage, where the hint is lost.
        var queue = host.Services.GetRequiredService<QueueStore>();
        var unrouted = Assert.Single(await queue.FindUnroutedAsync([hint.MessageId], Deadline.Token));
        Assert.Equal("header rule invoice", unrouted.HoldReason);
        Assert.Empty(await queue.RouteAsync([new RoutedMessage(unrouted, [new RoutedRecipient("ann@example.com", "", "example.com", RecipientRoute.Local)])]));
        Assert.Empty(await queue.ListDueAsync("example.com", DateTimeOffset.MaxValue, 10, Deadline.Token));

        var history = host.Services.GetRequiredService<MessageHistory>();
        var recipient = Assert.Single((await history.FindAsync(hint.MessageId, Deadline.Token))!.Recipients);
        Assert.Equal((RecipientState.Held, "header rule invoice"), (recipient.State, recipient.HoldReason));
        Assert.DoesNotContain("X-MailPipeline", Encoding.Latin1.GetString(await host.ContentAsync(hint.MessageId)), StringComparison.Ordinal);

        Assert.Equal(1, (await host.Services.GetRequiredService<OperatorStore>().ReleaseAsync(hint.MessageId, new("ann"))).Changed);
        Assert.Single(await queue.ListDueAsync("example.com", DateTimeOffset.MaxValue, 10, Deadline.Token));
        Assert.Equal("header rule invoice", (await history.FindAsync(hint.MessageId, Deadline.Token))!.HoldReason);
    }

    [Fact]
    public async Task All_rules_about_a_message_count_and_their_fields_go_on_top()
    {
        var settings = With("list", "Tag", "List-Id", "");
        foreach (var (name, value) in With("paid", "Hold", "Subject", "paid", number: 1))
            settings[name] = value;
        settings[$"{Rules}:1:AddField"] = "X-Review: please, by hand";
        foreach (var (name, value) in With("never", "Refuse", "Subject", "nothing of it", number: 2))
            settings[name] = value;
        await using var host = await IngressHost.StartAsync(settings);
        using var verdicts = host.Metric<long>("mailpipeline.ingress.check_verdicts");
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("List-Id: <a>\r\nSubject: paid\r\n");
        var hint = await host.NextHintAsync();
        Assert.Equal("header rule paid", hint.HoldReason);
        var message = (await host.Services.GetRequiredService<MessageHistory>().FindAsync(hint.MessageId, Deadline.Token))!;
        Assert.Equal(["list"], message.Tags);
        var stored = await host.ContentAsync(hint.MessageId);
        Assert.Equal(stored.Length, message.SizeBytes);
        Assert.StartsWith(
            "X-Review: please, by hand\r\nX-MailPipeline-Tag: list\r\nReceived: ", Encoding.Latin1.GetString(stored), StringComparison.Ordinal);
        Assert.Equal(
            ["hold", "tag list", "field"],
            verdicts.GetMeasurementSnapshot().Select(said => $"{said.Tags["verdict"]} {said.Tags.GetValueOrDefault("tag")}".TrimEnd()));

        // What was said of one message is not said of the next.
        await client.MessageAsync("Subject: x\r\n");
        hint = await host.NextHintAsync();
        Assert.Equal("", hint.HoldReason);
        Assert.Empty((await host.Services.GetRequiredService<MessageHistory>().FindAsync(hint.MessageId, Deadline.Token))!.Tags);
    }

    [Fact]
    public async Task Rules_are_for_the_listeners_that_are_named()
    {
        var settings = With("list", "Refuse", "List-Id", "");
        settings["Ingress:Checks:HeaderRules:Listeners"] = "Submission";
        await using var host = await IngressHost.StartAsync(settings);
        await using var stranger = await Client.GreetedAsync(host.Mx);
        await stranger.MessageAsync("List-Id: <a>\r\n");
        await using var user = await Client.AuthenticatedAsync(host.Submission);
        await user.BeginAsync("ann@example.com");
        await user.SayAsync("List-Id: <a>\r\n\r\n.", "550 5.7.1");
    }

    private static Dictionary<string, string> With(string name, string verdict, string field, string contains, int number = 0) => new()
    {
        [$"{Rules}:{number}:Name"] = name,
        [$"{Rules}:{number}:Verdict"] = verdict,
        [$"{Rules}:{number}:Field"] = field,
        [$"{Rules}:{number}:Contains"] = contains,
    };
}
