using MailPipeline.Mail;
using MailPipeline.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>The whole service and a signed zone behind a resolver that validates: DANE by the word of DNSSEC, and by no other.</summary>
public sealed class ValidatedDaneTests
{
    private const string Hello = "S: 220 mx\n* EHLO\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go on\n! tls\n";

    private const string Transaction = "* EHLO\nS: 250 mx\n* MAIL\nS: 250 Ok\n* RCPT\nS: 250 Ok\n* DATA\nS: 354 Go on\nC: one\nC: .\nS: 250 Taken\n* QUIT\nS: 221 Bye\n";

    [Theory]
    // domain                      validating  outcome            record
    [InlineData("example.net", true, "Delivered 2.0.0", "dane published tlsa TLS")]
    [InlineData("wrong.example.net", true, "Deferred 4.7.5", "dane published mismatch")]
    [InlineData("alias.example.net", true, "Delivered 2.0.0", "dane published tlsa TLS")]
    // Nobody vouches for the host, its address, or what has no records.
    [InlineData("outside.example", true, "Delivered 2.0.0", "opportunistic default untrusted TLS")]
    [InlineData("elsewhere.example.net", true, "Delivered 2.0.0", "opportunistic default untrusted TLS")]
    [InlineData("none.example.net", true, "Delivered 2.0.0", "opportunistic default untrusted TLS")]
    // The answer is bogus: no records, no mail.
    [InlineData("bogus.example.net", true, "Deferred 4.7.5", null)]
    // An operator who trusts nobody's word.
    [InlineData("wrong.example.net", false, "Delivered 2.0.0", "opportunistic default untrusted TLS")]
    public async Task A_host_is_held_to_what_DNSSEC_vouches_for(string domain, bool isValidating, string outcome, string? record)
    {
        using var authority = new Authority();
        using var other = authority.Issue("mx.example.net");
        var isDelivered = outcome.StartsWith("Delivered", StringComparison.Ordinal);
        await using var server = new ScriptedServer(Hello + (isDelivered ? Transaction : "! close"));
        var right = Tlsa(TlsaSetTests.Record(3, 1, 1, ScriptedServer.SelfSigned));
        var wrong = Tlsa(TlsaSetTests.Record(3, 1, 1, other));
        await using var dns = await ValidatingResolver.StartAsync(
            "example.net",
            $"""
            @ MX 10 mx
            mx A 127.0.0.1
            _{server.Port}._tcp.mx TLSA {right}
            wrong MX 10 mx.wrong
            mx.wrong A 127.0.0.1
            _{server.Port}._tcp.mx.wrong TLSA {wrong}
            alias MX 10 mx.alias
            mx.alias A 127.0.0.1
            _{server.Port}._tcp.mx.alias CNAME _tlsa
            _tlsa TLSA {right}
            elsewhere MX 10 mx.outside.example.
            none MX 10 mx.none
            mx.none A 127.0.0.1
            bogus MX 10 mx.bogus
            mx.bogus A 127.0.0.1
            _{server.Port}._tcp.mx.bogus TLSA {right}
            """,
            $"""
            outside.example. MX 10 mx.outside.example.
            mx.outside.example. A 127.0.0.1
            _{server.Port}._tcp.mx.outside.example. TLSA {wrong}
            """,
            ["_tcp.mx.bogus.example.net"], TestContext.Current.CancellationToken);
        await using var host = await DeliveryHost.StartAsync(new()
        {
            ["Dns:Servers"] = $"{dns.EndPoint}", ["Dns:Validating"] = $"{isValidating}", ["Delivery:Port"] = $"{server.Port}", ["Delivery:LocalAddresses"] = "Allow",
            ["Delivery:IdleTime"] = "0",
        });

        var report = await host.DeliverAsync(await host.QueueAsync("one\r\n"u8.ToArray(), $"ann@{domain}"));

        Assert.Equal([outcome], Bench.Outcomes(report));
        if (record is null)
            Assert.Contains("DNS gave no answer for the TLSA records of mx.bogus.example.net", report.Results[0].Reply, StringComparison.Ordinal);
        else
            Assert.StartsWith(record, report.Results[0].Tls!.ToText());
        // What storage has of it is what the operator sees.
        if (isDelivered)
            Assert.Equal(report.Results[0].Tls, Assert.Single((await host.Get<MessageHistory>().FindAsync(RecipientIds.MessageId(report.Results[0].RecipientId), default))!.Recipients[0].Attempts).Tls);
    }

    [Theory]
    // domain                      certificate             outcome            record
    // At the name behind the alias first, then at its own.
    [InlineData("behind.example.net", null, "Delivered 2.0.0", "dane published tlsa TLS")]
    [InlineData("both.example.net", null, "Delivered 2.0.0", "dane published tlsa TLS")]
    [InlineData("before.example.net", null, "Delivered 2.0.0", "dane published tlsa TLS")]
    [InlineData("wrong.example.net", null, "Deferred 4.7.5", "dane published mismatch")]
    // Nobody vouches for where it leads: what the signed zone says of its own name counts, and not what stands there.
    [InlineData("hosted.example.net", null, "Delivered 2.0.0", "dane published tlsa TLS")]
    [InlineData("badly-hosted.example.net", null, "Deferred 4.7.5", "dane published mismatch")]
    [InlineData("lent.example.net", null, "Delivered 2.0.0", "opportunistic default untrusted TLS")]
    // The certificate is for the name that has the records, or for the domain.
    [InlineData("named.example.net", "real.example.net", "Delivered 2.0.0", "dane published tlsa TLS")]
    [InlineData("named.example.net", "named.example.net", "Delivered 2.0.0", "dane published tlsa TLS")]
    [InlineData("named.example.net", "mx.named.example.net", "Deferred 4.7.5", "dane published wrong-name")]
    public async Task A_host_that_is_an_alias_is_held_to_the_records_that_DNSSEC_leads_to(string domain, string? certificate, string outcome, string record)
    {
        using var authority = new Authority();
        using var other = authority.Issue("mx.example.net");
        // Sent along, as a root is not.
        using var between = new Authority("Between CA", authority);
        using var issued = certificate is null ? null : between.Issue(certificate);
        var isDelivered = outcome.StartsWith("Delivered", StringComparison.Ordinal);
        await using var server = issued is null
            ? new ScriptedServer(Hello + (isDelivered ? Transaction : "! close"))
            : new ScriptedServer(Hello + (isDelivered ? Transaction : "! close")) { Certificate = issued, Chain = [between.Certificate] };
        var right = Tlsa(TlsaSetTests.Record(3, 1, 1, ScriptedServer.SelfSigned));
        var wrong = Tlsa(TlsaSetTests.Record(3, 1, 1, other));
        var label = $"_{server.Port}._tcp";
        await using var dns = await ValidatingResolver.StartAsync(
            "example.net",
            $"""
            has-right A 127.0.0.1
            {label}.has-right TLSA {right}
            has-wrong A 127.0.0.1
            {label}.has-wrong TLSA {wrong}
            has-none A 127.0.0.1
            real A 127.0.0.1
            {label}.real TLSA {Tlsa(TlsaSetTests.Record(2, 0, 1, between.Certificate))}
            behind MX 10 mx.behind
            mx.behind CNAME between
            between CNAME has-right
            both MX 10 mx.both
            mx.both CNAME has-right
            {label}.mx.both TLSA {wrong}
            before MX 10 mx.before
            mx.before CNAME has-none
            {label}.mx.before TLSA {right}
            wrong MX 10 mx.wrong
            mx.wrong CNAME has-wrong
            {label}.mx.wrong TLSA {right}
            hosted MX 10 mx.hosted
            mx.hosted CNAME mx.outside.example.
            {label}.mx.hosted TLSA {right}
            badly-hosted MX 10 mx.badly-hosted
            mx.badly-hosted CNAME mx.outside.example.
            {label}.mx.badly-hosted TLSA {wrong}
            lent MX 10 mx.lent
            mx.lent CNAME mx.outside.example.
            named MX 10 mx.named
            mx.named CNAME real
            """,
            $"""
            mx.outside.example. A 127.0.0.1
            {label}.mx.outside.example. TLSA {wrong}
            """,
            cancellation: TestContext.Current.CancellationToken);
        await using var host = await DeliveryHost.StartAsync(new()
        {
            ["Dns:Servers"] = $"{dns.EndPoint}", ["Dns:Validating"] = "true", ["Delivery:Port"] = $"{server.Port}", ["Delivery:LocalAddresses"] = "Allow", ["Delivery:IdleTime"] = "0",
        });

        var report = await host.DeliverAsync(await host.QueueAsync("one\r\n"u8.ToArray(), $"ann@{domain}"));

        Assert.Equal([outcome], Bench.Outcomes(report));
        Assert.StartsWith(record, report.Results[0].Tls!.ToText());
    }

    private static string Tlsa(Dns.TlsaRecord record) => $"{record.Usage} {record.Selector} {record.MatchingType} {Convert.ToHexString(record.Data.Span)}";
}
