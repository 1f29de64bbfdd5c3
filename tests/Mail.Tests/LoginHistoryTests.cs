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

    /// <summary>One network fails with more names than are kept; pauses elsewhere hold all the same.</summary>
    [Fact]
    public void A_flood_of_names_that_fail_makes_nobody_else_s_failures_forgotten()
    {
        var history = new LoginHistory(_time);
        IPNetwork[] others = [IPNetwork.Parse("192.0.2.1/32"), Site("7")];
        foreach (var network in others)
        {
            for (var i = 0; i < 20; i++)
                history.Failed("ann", network);
        }

        var flood = IPNetwork.Parse("198.51.100.1/32");
        for (var i = 0; i < 25_000; i++)
            history.Failed($"user{i}", flood);
        Assert.All(others, network => Assert.True(history.IsPaused("ann", network)));
        // It is the flood that is forgotten, from its beginning on: the sixth failure pauses.
        foreach (var (name, isKept) in new[] { ("user0", false), ("user24999", true) })
        {
            for (var i = 0; i < 5; i++)
                history.Failed(name, flood);
            Assert.Equal(isKept, history.IsPaused(name, flood));
        }
    }

    [Fact]
    public void Addresses_of_IPv4_are_customers_of_their_own()
    {
        var history = new LoginHistory(_time);
        for (var i = 0; i < 60; i++)
            history.Failed("ann", IPNetwork.Parse($"192.0.2.{i}/32"));
        Assert.False(history.IsPaused("ann", IPNetwork.Parse("192.0.2.100/32")));
    }

    [Fact]
    public void Many_names_that_fail_pause_their_network_and_one_name_does_not()
    {
        var history = new LoginHistory(_time, freeFailuresOfNetwork: 10);
        var network = IPNetwork.Parse("192.0.2.1/32");
        history.Succeeded("ann", network);
        // A device with an old password.
        for (var i = 0; i < 100; i++)
            history.Failed("bob", network);
        Assert.False(history.IsPaused("carol", network));
        for (var i = 0; i < 6; i++)
        {
            Assert.False(history.IsPaused("carol", network));
            history.Failed($"user{i}", network);
        }

        Assert.True(history.IsPaused("carol", network));
        Assert.False(history.IsPaused("ann", network));
        Assert.False(history.IsPaused("carol", IPNetwork.Parse("192.0.2.2/32")));
        // Whoever guesses and has an account does not begin anew with a login of his own.
        history.Succeeded("guesser", network);
        Assert.True(history.IsPaused("carol", network));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(history.IsPaused("carol", network));
        // It grows.
        history.Failed("user7", network);
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.True(history.IsPaused("carol", network));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(history.IsPaused("carol", network));
    }

    [Fact]
    public void Networks_of_one_site_that_fail_together_are_paused_together_and_without_a_bound_none_is()
    {
        var (bounded, unbounded) = (new LoginHistory(_time, freeFailuresOfNetwork: 2), new LoginHistory(_time));
        for (var i = 0; i < 21; i++)
        {
            Assert.False(bounded.IsPaused("carol", Site("ff")));
            bounded.Failed($"user{i}", Site($"{i:x}"));
            unbounded.Failed($"user{i}", Site("1"));
        }

        Assert.True(bounded.IsPaused("carol", Site("ff")));
        Assert.False(bounded.IsPaused("carol", IPNetwork.Parse("2001:db8:2::/64")));
        Assert.False(unbounded.IsPaused("carol", Site("1")));
    }

    private static IPNetwork Site(string subnet) => IPNetwork.Parse($"2001:db8:1:{subnet}::/64");
}
