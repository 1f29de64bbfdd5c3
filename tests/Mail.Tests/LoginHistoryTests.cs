using System.Net;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Mail.Tests;

/// <summary>Who is not looked at for a while, and that nobody else is.</summary>
public sealed class LoginHistoryTests
{
    private static readonly IPNetwork s_home = Site("aa");

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Guesses_from_many_networks_of_one_site_pause_the_name_there()
    {
        var history = new LoginHistory(_time);
        history.Succeeded("ann", s_home);
        for (var i = 0; i < 51; i++)
        {
            Assert.False(history.IsPaused("ann", Site($"{i:x}")));
            history.Failed("ann", Site($"{i:x}"));
        }

        Assert.True(history.IsPaused("ann", Site("ff")));
        // Its owner goes on where he was, and so does everybody else, and everybody elsewhere.
        Assert.False(history.IsPaused("ann", s_home));
        Assert.False(history.IsPaused("bob", Site("ff")));
        Assert.False(history.IsPaused("ann", IPNetwork.Parse("2001:db8:2::/64")));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(history.IsPaused("ann", Site("ff")));
    }

    [Fact]
    public void Addresses_of_IPv4_are_customers_of_their_own()
    {
        var history = new LoginHistory(_time);
        for (var i = 0; i < 60; i++)
            history.Failed("ann", IPNetwork.Parse($"192.0.2.{i}/32"));
        Assert.False(history.IsPaused("ann", IPNetwork.Parse("192.0.2.100/32")));
    }

    private static IPNetwork Site(string subnet) => IPNetwork.Parse($"2001:db8:1:{subnet}::/64");
}
