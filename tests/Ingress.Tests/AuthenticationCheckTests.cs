using System.Text;
using MailPipeline.Ingress.Checks;
using MailPipeline.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>
/// SPF and DMARC at the door: what is said of a message, and what becomes of it (<see cref="SenderAuthenticationCheck"/>,
/// <see cref="MessageAuthenticationCheck"/>).
/// </summary>
public sealed class AuthenticationCheckTests(AuthenticationZone zone) : IClassFixture<AuthenticationZone>
{
    private const string Good = AuthenticationZone.Good;
    private const string Bad = AuthenticationZone.Bad;

    [Theory]
    [InlineData(Good, "ann@example.net", "ann@example.net", "mx.example.com; spf=pass smtp.mailfrom=ann@example.net; spf=pass smtp.helo=mx.example.net; dkim=none; dmarc=pass (p=reject) header.from=example.net policy.dmarc=none")]
    [InlineData(Bad, "ann@example.net", "ann@example.net", "mx.example.com; spf=fail smtp.mailfrom=ann@example.net; spf=fail smtp.helo=mx.example.net; dkim=none; dmarc=fail (p=reject) header.from=example.net policy.dmarc=reject")]
    [InlineData(Good, "ann@example.net", "eve@quarantine.example.org", "mx.example.com; spf=pass smtp.mailfrom=ann@example.net; spf=pass smtp.helo=mx.example.net; dkim=none; dmarc=fail (p=quarantine) header.from=quarantine.example.org policy.dmarc=quarantine")]
    [InlineData(Good, "ann@example.net", "eve@none.example.org", "mx.example.com; spf=pass smtp.mailfrom=ann@example.net; spf=pass smtp.helo=mx.example.net; dkim=none; dmarc=fail (p=none) header.from=none.example.org policy.dmarc=none")]
    [InlineData(Good, "ann@nothing.example.org", "ann@nothing.example.org", "mx.example.com; spf=pass smtp.mailfrom=ann@nothing.example.org; spf=pass smtp.helo=mx.example.net; dkim=none; dmarc=none header.from=nothing.example.org")]
    [InlineData(Good, "ann@nowhere.example", "ann@nowhere.example", "mx.example.com; spf=none smtp.mailfrom=ann@nowhere.example; spf=pass smtp.helo=mx.example.net; dkim=none; dmarc=none header.from=nowhere.example")]
    [InlineData(Good, "", "MAILER-DAEMON@example.net", "mx.example.com; spf=pass smtp.helo=mx.example.net; dkim=none; dmarc=pass (p=reject) header.from=example.net policy.dmarc=none")]
    [InlineData(Good, "ann@example.net", "", "mx.example.com; spf=pass smtp.mailfrom=ann@example.net; spf=pass smtp.helo=mx.example.net; dkim=none; dmarc=permerror")]
    [InlineData("2001:db8::1", "ann@example.net", "ann@example.net", "mx.example.com; spf=fail smtp.mailfrom=ann@example.net; spf=fail smtp.helo=mx.example.net; dkim=none; dmarc=fail (p=reject) header.from=example.net policy.dmarc=reject")]
    [InlineData(Good, "ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example", "mx.example.com; spf=pass smtp.mailfrom=ann@xn--bcher-kva.example; spf=pass smtp.helo=mx.example.net; dkim=none; dmarc=pass (p=reject) header.from=xn--bcher-kva.example policy.dmarc=none")]
    public async Task What_was_found_stands_in_front(string address, string sender, string from, string field)
    {
        await using var host = await zone.StartAsync("Mark");
        await using var client = await AuthenticationZone.AsAsync(host, address);
        Assert.StartsWith("250 2.0.0", await AuthenticationZone.SendAsync(client, sender, from), StringComparison.Ordinal);
        Assert.Equal(field, await AuthenticationZone.FieldAsync(host));
    }

    [Fact]
    public async Task It_is_counted_and_stands_in_the_message_s_history()
    {
        await using var host = await zone.StartAsync("Mark", ("Ingress:AuthservId", "mail.example.com"));
        using var counted = host.Metric<long>("mailpipeline.ingress.authentication");
        using var waited = host.Metric<double>("mailpipeline.ingress.authentication.duration");
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net");
        var hint = await host.NextHintAsync();
        Assert.Equal(["spf-fail", "dkim-none", "dmarc-fail", "dmarc-reject"], (await AuthenticationZone.TimelineAsync(host, hint.MessageId)).Tags);
        var content = Encoding.ASCII.GetString(await host.ContentAsync(hint.MessageId));
        Assert.Contains("Authentication-Results: mail.example.com;\r\n\tspf=fail ", content, StringComparison.Ordinal);
        Assert.Contains("X-MailPipeline-Tag: dmarc-reject\r\n", content, StringComparison.Ordinal);
        Assert.Equal(["spf fail", "dkim none", "dmarc fail"], counted.GetMeasurementSnapshot().Select(one => $"{one.Tags["method"]} {one.Tags["result"]}"));
        Assert.Single(waited.GetMeasurementSnapshot());
    }

    [Theory]
    [InlineData("Off", "Enforce", "550 5.7.26", null)]
    [InlineData("Enforce", "Mark", "250 2.0.0", true)]
    [InlineData("Enforce", "Off", "250 2.0.0", false)]
    public async Task A_listener_may_have_a_policy_of_its_own(string all, string own, string reply, bool? isMarked)
    {
        await using var host = await zone.StartAsync(all, ("Ingress:Listeners:0:Authentication", own));
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        Assert.StartsWith(reply, await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
        if (isMarked is { } marked)
            Assert.Equal(marked, Encoding.ASCII.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)).Contains("dmarc=fail", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Each_message_of_a_session_is_judged_by_itself()
    {
        await using var host = await zone.StartAsync("Mark");
        await using var client = await AuthenticationZone.AsAsync(host, Good);
        await client.SayAsync("MAIL FROM:<ann@nowhere.example>", "250");
        await client.SayAsync("RSET", "250");
        await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net");
        Assert.Contains("spf=pass smtp.mailfrom=ann@example.net", await AuthenticationZone.FieldAsync(host), StringComparison.Ordinal);
        await client.SayAsync("EHLO other.example.net", "250");
        await AuthenticationZone.SendAsync(client, "ann@nowhere.example", "ann@example.net");
        Assert.Equal(
            "mx.example.com; spf=none smtp.mailfrom=ann@nowhere.example; spf=none smtp.helo=other.example.net; dkim=none; dmarc=fail (p=reject) header.from=example.net policy.dmarc=reject",
            await AuthenticationZone.FieldAsync(host));
    }

    [Fact]
    public async Task A_message_in_chunks_is_judged_as_any_other()
    {
        await using var host = await zone.StartAsync("Enforce");
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        await client.SayAsync("MAIL FROM:<ann@example.net>", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SendAsync("BDAT 6\r\nFrom: ");
        await client.ExpectAsync("250");
        await client.SendAsync("BDAT 25 LAST\r\nann@example.net\r\n\r\ntext\r\n");
        await client.ExpectAsync("550 5.7.26");
    }

    [Theory]
    [InlineData(Bad, "ann@example.net", "ann@example.net", "550 5.7.26 example.net asks to refuse mail that is not shown to be its own (DMARC): SPF and DKIM pass for no domain aligned with it", "")]
    [InlineData(Good, "eve@nothing.example.org", "ann@example.net", "550 5.7.26", "")]
    [InlineData(Good, "eve@nothing.example.org", "ann@nothing.example.org, ann@example.net", "550 5.7.26", "")]
    [InlineData(Good, "eve@nothing.example.org", "ann@nothing.example.org\r\nFrom: ann@example.net", "550 5.7.26", "")]
    [InlineData(Good, "eve@nothing.example.org", "ann@example.net <eve@nothing.example.org>", "550 5.7.26", "")]
    [InlineData(Good, "eve@nothing.example.org", "a@a.example, b@b.example, c@c.example, d@d.example, e@e.example, ann@example.net", "550 5.7.1 The From field", "")]
    [InlineData(Good, "ann@example.net", "ann@example.net", "250", "spf-pass dkim-none dmarc-pass")]
    [InlineData(Bad, "ann@quarantine.example.org", "ann@quarantine.example.org", "250", "spf-fail dkim-none dmarc-fail dmarc-quarantine")]
    [InlineData(Bad, "ann@none.example.org", "ann@none.example.org", "250", "spf-fail dkim-none dmarc-fail")]
    [InlineData(Bad, "ann@nothing.example.org", "ann@nothing.example.org", "250", "spf-fail dkim-none dmarc-none")]
    [InlineData(Bad, "ann@nowhere.example", "", "250", "spf-none dkim-none dmarc-permerror")]
    public async Task What_the_author_s_domain_asks_for_is_done(string address, string sender, string from, string reply, string tags)
    {
        await using var host = await zone.StartAsync("Enforce");
        await using var client = await AuthenticationZone.AsAsync(host, address);
        Assert.StartsWith(reply, await AuthenticationZone.SendAsync(client, sender, from), StringComparison.Ordinal);
        if (tags.Length == 0)
            return;
        var hint = await host.NextHintAsync();
        Assert.Equal((tags, ""), (string.Join(' ', (await AuthenticationZone.TimelineAsync(host, hint.MessageId)).Tags), hint.HoldReason));
    }

    [Theory]
    [InlineData(Bad, "ann@example.net", "eve@nothing.example.org", "550-5.7.23 SPF: 192.0.2.66 may not send mail of example.net|The domain example.net explains:|Ask postmaster@example.net, not 192.0.2.66")]
    [InlineData(Bad, "ann@nothing.example.org", "eve@nothing.example.org", "550 5.7.23 SPF: 192.0.2.66 may not send mail of nothing.example.org")]
    [InlineData(Bad, "", "eve@nothing.example.org", "550 5.7.23 SPF: 192.0.2.66 may not send mail of mx.example.net")]
    [InlineData(Bad, "ann@nowhere.example", "eve@nothing.example.org", "250")]
    [InlineData(Good, "ann@example.net", "eve@nothing.example.org", "250")]
    public async Task Who_fails_by_SPF_alone_is_refused_where_the_operator_says_so(string address, string sender, string from, string reply)
    {
        await using var host = await zone.StartAsync("Enforce", ("Spf:Fail", "Refuse"));
        await using var client = await AuthenticationZone.AsAsync(host, address);
        var said = await AuthenticationZone.SendAsync(client, sender, from);
        foreach (var part in reply.Split('|'))
            Assert.Contains(part, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Quarantine_may_hold_a_message_for_an_operator()
    {
        await using var host = await zone.StartAsync("Enforce", ("Dmarc:Quarantine", "Hold"));
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        await AuthenticationZone.SendAsync(client, "ann@quarantine.example.org", "ann@quarantine.example.org");
        Assert.Equal("DMARC: quarantine.example.org asks for quarantine", (await host.NextHintAsync()).HoldReason);
    }

    [Theory]
    [InlineData("Dmarc:ExceptNetworks:0", "192.0.2.64/28", "network")]
    [InlineData("Dmarc:ExceptDomains:0", "example.net", "domain")]
    [InlineData("Dmarc:ExceptDomains:0", "net", "domain")]
    public async Task A_list_of_the_operator_s_comes_first(string setting, string value, string name)
    {
        await using var host = await zone.StartAsync("Enforce", (setting, value), ("Spf:Fail", "Refuse"));
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        Assert.StartsWith("250", await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
        Assert.EndsWith($"dmarc=fail (p=reject override={name}) header.from=example.net policy.dmarc=none", await AuthenticationZone.FieldAsync(host), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_author_who_is_excepted_excepts_nobody_beside_him()
    {
        await using var host = await zone.StartAsync("Enforce", ("Dmarc:ExceptDomains:0", "xn--bcher-kva.example"));
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        Assert.StartsWith("250", await AuthenticationZone.SendAsync(client, "eve@nowhere.example", "ann@xn--bcher-kva.example"), StringComparison.Ordinal);
        Assert.StartsWith(
            "550 5.7.26", await AuthenticationZone.SendAsync(client, "eve@nowhere.example", "ann@xn--bcher-kva.example, ann@example.net"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Ingress:RelayClients:0", "192.0.2.66")]
    [InlineData("Listeners", "None")]
    [InlineData("Listeners", "Submission")]
    [InlineData("Policy", "Off")]
    public async Task Who_may_relay_is_not_judged_and_nobody_where_it_is_off(string setting, string value)
    {
        await using var host = await zone.StartAsync("Enforce", (setting, value));
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        Assert.StartsWith("250", await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
        Assert.Null(await AuthenticationZone.FieldAsync(host));
    }

    [Fact]
    public async Task This_machine_itself_and_our_users_are_not_judged()
    {
        await using var host = await zone.StartAsync("Enforce", ("Listeners", "All"));
        await using (var client = await Client.GreetedAsync(host.Mx))
            await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net");
        Assert.Null(await AuthenticationZone.FieldAsync(host));
        await using (var client = await Client.AuthenticatedAsync(host.Submission))
            await AuthenticationZone.SendAsync(client, "ann@example.com", "ann@example.com");
        Assert.Null(await AuthenticationZone.FieldAsync(host));
    }

    [Fact]
    public async Task A_header_too_long_to_be_seen_whole_is_refused_where_policies_are_obeyed()
    {
        var padding = string.Concat(Enumerable.Repeat($"X-Padding: {new string('x', 900)}\r\n", 300));
        await using var host = await zone.StartAsync("Enforce");
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        Assert.StartsWith(
            "552 5.3.4", await AuthenticationZone.SendAsync(client, "eve@nowhere.example", "", $"{padding}From: ann@example.net\r\n\r\ntext"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_From_that_names_no_domain_may_be_refused()
    {
        await using var host = await zone.StartAsync("Enforce", ("Dmarc:UnreadableFrom", "Refuse"));
        await using var client = await AuthenticationZone.AsAsync(host, Good);
        Assert.StartsWith("550 5.7.1 The From field", await AuthenticationZone.SendAsync(client, "ann@example.net", "The boss"), StringComparison.Ordinal);
        Assert.StartsWith("250", await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_needs_a_DNS_server_where_nothing_is_configured()
    {
        await using var silent = new SilentDnsServer();
        await using var host = await AuthenticationZone.StartAsync($"{silent.EndPoint}", "Off");
        await using var client = await AuthenticationZone.AsAsync(host, Bad);
        Assert.StartsWith("250", await AuthenticationZone.SendAsync(client, "ann@example.net", "ann@example.net"), StringComparison.Ordinal);
        Assert.Equal(0, silent.Questions);
    }
}
