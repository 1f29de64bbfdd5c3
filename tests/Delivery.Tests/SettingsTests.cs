using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Tests;

/// <summary>Settings in all their forms, and what is said of those that cannot be.</summary>
public sealed class SettingsTests
{
    [Theory]
    [InlineData("Delivery:Routes", "example.com=127.0.0.1:2526", "example.com", "127.0.0.1:2526")]
    [InlineData("Delivery:Routes:example.com", "127.0.0.1:2526", "EXAMPLE.com", "127.0.0.1:2526")]
    [InlineData("Delivery:Routes:0", "example.com=127.0.0.1:2526", "example.com", "127.0.0.1:2526")]
    [InlineData("Delivery:Routes", "example.org=h, *=smarthost.example.net", "example.com", "smarthost.example.net:25")]
    [InlineData("Delivery:Routes", "*.example.com=sub:1 *=all:2", "a.b.example.com", "sub:1")]
    [InlineData("Delivery:Routes", "*.example.com=sub:1 *=all:2", "example.com", "all:2")]
    [InlineData("Delivery:Routes", "*.example.com=sub:1 b.example.com=own:3", "b.example.com", "own:3")]
    [InlineData("Delivery:Routes", "*=[::1]:2525", "example.com", "::1:2525")]
    [InlineData("Delivery:Routes", "*=::1", "example.com", "::1:25")]
    [InlineData("Delivery:Routes", "*=[::1]", "example.com", "::1:25")]
    [InlineData("Delivery:Routes", "*=fe80::1%1", "example.com", "fe80::1%1:25")]
    [InlineData("Delivery:Routes", "*=[smarthost.example.net]:587", "example.com", "smarthost.example.net:587")]
    [InlineData("Delivery:Routes:*", "mail_relay.example.net.", "example.com", "mail_relay.example.net.:25")]
    [InlineData("Delivery:Routes:example.com.", "h", "example.com", "h:25")]
    [InlineData("Delivery:Routes", "[192.0.2.1]=h", "[192.0.2.1]", "h:25")]
    [InlineData("Delivery:Routes", "*=lmtp:[::1]", "example.com", "::1:24")]
    [InlineData("Delivery:Routes:*", "lmtp:/run/dovecot/lmtp", "example.com", "/run/dovecot/lmtp:24")]
    [InlineData("Delivery:Routes", "example.org=h", "example.com", null)]
    public void Routes_may_be_written_in_three_forms(string key, string value, string domain, string? expected)
    {
        var route = Read((key, value)).RouteTable.Find(domain);
        Assert.Equal(expected, route is null ? null : $"{route.Host}:{route.Port}");
    }

    [Theory]
    [InlineData("Delivery:MaxHosts", "3", 200)]
    [InlineData("Delivery:Connections", "500", 500)]
    [InlineData("Delivery:Consumers", "700", 700)]
    public void A_process_beside_others_takes_no_more_than_it_has_connections_for(string key, string value, int consumers)
    {
        var own = new ConfigurationBuilder().AddInMemoryCollection([new(key, value)]).Build();
        var options = new ConfigurationBuilder().AddInMemoryCollection(DeliveryHosting.DefaultsBesideOthers(own)).AddConfiguration(own).Build()
            .GetSection(DeliveryOptions.Section).Get<DeliveryOptions>()!;
        Assert.Equal(consumers, options.Consumers);
        Assert.Equal(TimeSpan.Zero, options.IdleTime);
    }

    [Fact]
    public void Lists_may_be_one_text()
    {
        Assert.Equal(["192.0.2.1", "::1"], Read(("Delivery:OwnAddresses", "192.0.2.1, ::1")).OwnAddresses);
        Assert.Equal(["192.0.2.1"], Read(("Delivery:OwnAddresses:0", "192.0.2.1")).OwnAddresses);
    }

    [Theory]
    [InlineData("Delivery:Routes", "example.com", "Delivery:Routes", "example.com=192.0.2.1:25")]
    [InlineData("Delivery:Routes", "example.com=host:99999", "Delivery:Routes", "from 1 to 65535")]
    [InlineData("Delivery:Routes:example.com", "host:x", "Delivery:Routes", "host:port")]
    [InlineData("Delivery:Routes:x.y", ":::", "Delivery:Routes:x.y is ':::'", "[address]:port")]
    [InlineData("Delivery:Routes:x.y", "", "Delivery:Routes:x.y is ''", "host:port")]
    [InlineData("Delivery:Routes:x.y", ":25", "Delivery:Routes:x.y is ':25'", "host:port")]
    [InlineData("Delivery:Routes:x.y", "host:", "Delivery:Routes:x.y is 'host:'", "host:port")]
    [InlineData("Delivery:Routes:x.y", "host:0", "Delivery:Routes:x.y is 'host:0'", "from 1 to 65535")]
    [InlineData("Delivery:Routes:x.y", "host:65536", "Delivery:Routes:x.y is 'host:65536'", "from 1 to 65535")]
    [InlineData("Delivery:Routes:x.y", "[]", "Delivery:Routes:x.y is '[]'", "[address]:port")]
    [InlineData("Delivery:Routes:x.y", "[::1", "Delivery:Routes:x.y is '[::1'", "[address]:port")]
    [InlineData("Delivery:Routes:x.y", "::1]", "Delivery:Routes:x.y is '::1]'", "[address]:port")]
    [InlineData("Delivery:Routes:x.y", "[::1]25", "Delivery:Routes:x.y is '[::1]25'", "[address]:port")]
    [InlineData("Delivery:Routes:x.y", "[::1]:x", "Delivery:Routes:x.y is '[::1]:x'", "[address]:port")]
    [InlineData("Delivery:Routes:x.y", "[[::1]]:25", "Delivery:Routes:x.y is '[[::1]]:25'", "[address]:port")]
    [InlineData("Delivery:Routes:x.y", "::g", "Delivery:Routes:x.y is '::g'", "[address]:port")]
    [InlineData("Delivery:Routes:x.y", "127.1", "Delivery:Routes:x.y is '127.1'", "host:port")]
    [InlineData("Delivery:Routes:x.y", "192.0.2.256:25", "Delivery:Routes:x.y is '192.0.2.256:25'", "host:port")]
    [InlineData("Delivery:Routes:x.y", "a..b", "Delivery:Routes:x.y is 'a..b'", "host:port")]
    [InlineData("Delivery:Routes:x.y", "-a.example", "Delivery:Routes:x.y is '-a.example'", "host:port")]
    [InlineData("Delivery:Routes:x.y", "smtp://host", "Delivery:Routes:x.y is 'smtp://host'", "host:port")]
    [InlineData("Delivery:Routes:x.y", "a=b", "Delivery:Routes:x.y is 'a=b'", "host:port")]
    [InlineData("Delivery:Routes:x..y", "host", "Delivery:Routes:x..y", "a domain such as example.com")]
    [InlineData("Delivery:Routes:*x.y", "host", "Delivery:Routes:*x.y", "*.example.com")]
    [InlineData("Delivery:Routes", "ann@example.com=host", "Delivery:Routes for 'ann@example.com'", "a domain such as example.com")]
    [InlineData("Delivery:Routes", "example.com=host, example.org=:::", "Delivery:Routes for 'example.org' is ':::'", "[address]:port")]
    [InlineData("Delivery:Routes", "=host", "Delivery:Routes has the entry '=host'", "*=smarthost.example.net")]
    [InlineData("Delivery:Routes:x.y:Host", "mx", "Delivery:Routes:x.y:Host", "Delivery:Routes:x.y")]
    [InlineData("Delivery:OwnAddresses", "127.1", "Delivery:OwnAddresses", "IP address")]
    [InlineData("Delivery:OwnAddresses", "here", "Delivery:OwnAddresses", "IP address")]
    [InlineData("Delivery:Connections", "0", "Connections", "between 1 and 60000")]
    [InlineData("Delivery:BatchTime", "01:00:00", "BatchTime", "00:10:00")]
    [InlineData("Delivery:Timeouts:FinalDot", "00:00:00", "FinalDot", "00:30:00")]
    [InlineData("Delivery:Tls", "Sometimes", "Delivery:Tls", "Sometimes")]
    [InlineData("Delivery:EightBitMime", "Convert", "Delivery:EightBitMime", "Convert")]
    [InlineData("Delivery:EightBitMime", "7", "EightBitMime", "Send, Return")]
    [InlineData("Delivery:Rotues", "*=a", "Rotues", "Delivery")]
    public void A_bad_setting_is_named_with_what_is_allowed(string key, string value, string name, string allowed)
    {
        var error = Assert.Throws<OptionsValidationException>(() => Read((key, value)));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains(allowed, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Delivery:Smarthosts:0:Host is ''", "host:port", "Tls=Required")]
    [InlineData("Delivery:Smarthosts:0:Host is ':::'", "host:port", "Host=:::")]
    [InlineData("Delivery:Smarthosts:0:Domains has 'x..y'", "*.example.com", "Host=h", "Domains=x..y")]
    [InlineData("Delivery:Smarthosts:0:Domains has '*', which has another next hop already", "", "Host=h", "Domains=*, *")]
    [InlineData("Delivery:Smarthosts:0:Credentials is '/nowhere/at/all'", "a user name and a password in two lines", "Host=h", "Credentials=/nowhere/at/all")]
    [InlineData("Delivery:Smarthosts:0:Credentials is not set", "Delivery:Smarthosts:0:Mechanism", "Host=h", "Mechanism=Plain")]
    [InlineData("Delivery:Smarthosts:0:Tls is None", "Delivery:Smarthosts:0:AllowCleartextAuth allows it", "Host=h", "Tls=None", "Credentials=/nowhere")]
    [InlineData("Delivery:Smarthosts:0:Tls is None", "Delivery:Smarthosts:0:ImplicitTls", "Host=h", "Tls=None", "ImplicitTls=true")]
    [InlineData("Delivery:Smarthosts:0:Mechanism", "XOAuth2", "Host=h", "Mechanism=Guess")]
    public void A_smarthost_that_cannot_be_is_named_with_what_is_allowed(string name, string allowed, params string[] settings)
    {
        (string, string)[] read = [.. settings.Select(setting => setting.Split('=', 2)).Select(pair => ($"Delivery:Smarthosts:0:{pair[0]}", pair[1]))];
        var error = Assert.Throws<OptionsValidationException>(() => Read(read));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains(allowed, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("example.com", "own.example.net:587", true, false)]
    [InlineData("a.example.org", "all.example.net:465", false, true)]
    [InlineData("example.edu", "plain:25", null, false)]
    public void Smarthosts_and_routes_share_the_domains(string domain, string host, bool? isVerified, bool hasImplicitTls)
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, "ann\nsecret");
        var route = Read(
            ("Delivery:Routes:example.edu", "plain"), ("Delivery:Smarthosts:0:Host", "own.example.net:587"), ("Delivery:Smarthosts:0:Domains", "example.com"),
            ("Delivery:Smarthosts:0:Credentials", file), ("Delivery:Smarthosts:1:Host", "all.example.net:465"), ("Delivery:Smarthosts:1:Tls", "Required")).RouteTable.Find(domain)!;
        File.Delete(file);
        Assert.Equal(host, $"{route.Host}:{route.Port}");
        Assert.Equal(isVerified, route.Tls is { } tls ? tls == TlsPolicy.Verified : null);
        Assert.Equal(hasImplicitTls, route.HasImplicitTls);
        Assert.Equal(isVerified is true, route.Smarthost is not null);
    }

    private static DeliveryOptions Read(params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)));
        builder.AddDelivery();
        using var services = builder.Services.BuildServiceProvider();
        return services.GetRequiredService<IOptions<DeliveryOptions>>().Value;
    }
}
