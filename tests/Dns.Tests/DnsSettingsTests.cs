using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns.Tests;

/// <summary>Settings in all their forms, what is said of those that cannot be, and look-ups that several services add.</summary>
public sealed class DnsSettingsTests
{
    [Fact]
    public void Servers_may_be_one_text()
    {
        Assert.Equal(["127.0.0.1:5353", "::1"], Read(("Dns:Servers", "127.0.0.1:5353, ::1")).Servers);
        Assert.Equal(["127.0.0.1:5353"], Read(("Dns:Servers:0", "127.0.0.1:5353")).Servers);
        Assert.Equal(["[::1]:53"], Read(("Dns:Servers:0", "[::1]:53")).Servers);
        Assert.Equal(4 << 20, Read(("Dns:CacheBytes", "4MiB")).CacheBytes);
    }

    [Theory]
    [InlineData("Dns:Servers", "dns.example.com", "Dns:Servers has 'dns.example.com'", "127.0.0.1:5353")]
    [InlineData("Dns:Servers:0", "127.0.0.1:0", "Dns:Servers", "127.0.0.1:5353")]
    [InlineData("Dns:Servers:0", "127.1", "Dns:Servers", "127.0.0.1:5353")]
    [InlineData("Dns:Timeout", "00:00:00", "Timeout", "00:01:00")]
    [InlineData("Dns:CacheBytes", "10", "CacheBytes", "100000")]
    [InlineData("Dns:Server", "127.0.0.1", "Dns:Server", "Servers")]
    public void A_bad_setting_is_named_with_what_is_allowed(string key, string value, string name, string allowed)
    {
        var error = Assert.Throws<OptionsValidationException>(() => Read((key, value)));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains(allowed, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Services_that_each_add_look_ups_share_one_cache()
    {
        using var services = Add([("Dns:Servers:0", "127.0.0.1:5353")], times: 2);
        Assert.Single(services.GetRequiredService<IOptions<DnsOptions>>().Value.Servers);
        Assert.Single(services.GetServices<DnsCache>());
        Assert.Single(services.GetServices<IDnsLookup>());
    }

    private static DnsOptions Read(params (string Key, string Value)[] settings)
    {
        using var services = Add(settings, times: 1);
        return services.GetRequiredService<IOptions<DnsOptions>>().Value;
    }

    private static ServiceProvider Add((string Key, string Value)[] settings, int times)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(
            new ConfigurationBuilder().AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).Build());
        for (var i = 0; i < times; i++)
            services.AddDns();
        return services.BuildServiceProvider();
    }
}
