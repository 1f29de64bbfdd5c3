namespace MailPipeline.Authentication.Tests;

public sealed class AuthenticationWordsTests
{
    [Fact]
    public void Every_status_has_a_word_of_its_own()
    {
        var words = Enum.GetValues<AuthenticationStatus>().Select(AuthenticationWords.Of).ToList();
        Assert.Equal(words.Count, words.Distinct().Count());
    }
}
